//! Shapes of the bubble: card with shadow and line, tail toward the mouth, bead, small round buttons.
//!
//! In: a painter and places in logical pixels. Out: shapes. Decides nothing.

use bevy_egui::egui::{
    Color32, CornerRadius, Mesh, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Vec2,
    epaint::PathShape, pos2, vec2,
};

use crate::theme::{APRICOT, PAPER, PLUM, soft_shadow};

/// Length of the tail, logical pixels.
pub(super) const TAIL: f32 = 13.0;
const RADIUS: u8 = 14;
const LINE_WIDTH: f32 = 2.0;

/// The card at `rect` with its tail pointing at `mouth`.
pub(super) fn card(painter: &Painter, rect: Rect, mouth: Pos2, line: Color32) {
    let fill = PAPER.gamma_multiply(0.97);
    let radius = CornerRadius::same(RADIUS);
    painter.add(soft_shadow().as_shape(rect, radius));
    painter.rect(rect, radius, fill, Stroke::new(LINE_WIDTH, line), StrokeKind::Inside);
    tail(painter, rect, mouth, fill, line);
}

/// A curved horn from the edge that is nearest to the mouth.
fn tail(painter: &Painter, rect: Rect, mouth: Pos2, fill: Color32, line: Color32) {
    let margin = f32::from(RADIUS) + 12.0;
    let inner = rect.shrink(1.0);
    let (root, along, out) = if mouth.y >= rect.bottom() {
        let x =
            mouth.x.clamp(rect.left() + margin, (rect.right() - margin).max(rect.left() + margin));
        (pos2(x, inner.bottom()), vec2(1.0, 0.0), vec2(0.0, 1.0))
    } else {
        let y =
            mouth.y.clamp(rect.top() + margin, (rect.bottom() - margin).max(rect.top() + margin));
        let side = if mouth.x < rect.center().x { -1.0 } else { 1.0 };
        let x = if side < 0.0 { inner.left() } else { inner.right() };
        (pos2(x, y), vec2(0.0, 1.0), vec2(side, 0.0))
    };
    let lean = (mouth - root).dot(along).clamp(-14.0, 14.0) + 3.0;
    let tip = root + out * TAIL + along * lean;
    let left = curve(root - along * 10.0, tip, root - along * 3.0 + out * 3.0);
    let right = curve(root + along * 10.0, tip, root + along * 5.0 + out * 3.0);
    let mut mesh = Mesh::default();
    // Two points inside the card, so that its own line is covered between the roots of the horn.
    let inside = out * 1.4;
    mesh.colored_vertex(left[0] + along * 1.2 - inside, fill);
    mesh.colored_vertex(right[0] - along * 1.2 - inside, fill);
    for (l, r) in left.iter().zip(&right) {
        mesh.colored_vertex(*l, fill);
        mesh.colored_vertex(*r, fill);
    }
    for i in 0..left.len() as u32 {
        mesh.add_triangle(2 * i, 2 * i + 1, 2 * i + 2);
        mesh.add_triangle(2 * i + 1, 2 * i + 3, 2 * i + 2);
    }
    painter.add(Shape::mesh(mesh));
    let outline: Vec<Pos2> = left.into_iter().chain(right.into_iter().rev().skip(1)).collect();
    painter.add(PathShape::line(outline, Stroke::new(LINE_WIDTH, line)));
}

/// Points of a quadratic curve.
fn curve(from: Pos2, to: Pos2, bend: Pos2) -> Vec<Pos2> {
    (0..=8)
        .map(|i| {
            let t = i as f32 / 8.0;
            from.lerp(bend, t).lerp(bend.lerp(to, t), t)
        })
        .collect()
}

/// A bead of the memory string, `radius` logical pixels.
pub(super) fn bead(painter: &Painter, center: Pos2, radius: f32) {
    painter.circle_filled(center, radius, APRICOT);
    painter.circle_filled(
        center - Vec2::splat(radius * 0.3),
        radius * 0.35,
        PAPER.gamma_multiply(0.9),
    );
    painter.circle_stroke(center, radius, Stroke::new(1.0, PLUM.gamma_multiply(0.5)));
}

/// Three dots of someone thinking; `seconds` moves the wave, none stands still.
pub(super) fn dots(painter: &Painter, center: Pos2, seconds: Option<f32>) {
    for i in 0..3_i8 {
        let wave = seconds.map_or(0.0, |s| (s * 5.0 - f32::from(i) * 0.8).sin());
        let at = center + vec2(f32::from(i - 1) * 14.0, -2.0 * wave);
        painter.circle_filled(at, 4.0, PLUM.gamma_multiply(0.55 + 0.3 * wave));
    }
}

/// A round button that sits on the edge of the card, with a stop square or a cross.
pub(super) fn round_button(
    painter: &Painter,
    center: Pos2,
    fill: Color32,
    ink: Color32,
    stop: bool,
) {
    painter.circle(center, 11.0, fill, Stroke::new(1.5, ink));
    if stop {
        let square = Rect::from_center_size(center, Vec2::splat(8.0));
        painter.rect_filled(square, CornerRadius::same(2), ink);
    } else {
        let d = 3.5;
        painter.line_segment([center + vec2(-d, -d), center + vec2(d, d)], Stroke::new(1.8, ink));
        painter.line_segment([center + vec2(-d, d), center + vec2(d, -d)], Stroke::new(1.8, ink));
    }
}
