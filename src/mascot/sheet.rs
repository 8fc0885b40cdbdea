//! The contact sheet: every mood and behaviour, drawn as the window draws it, to look at before anything ships.
//!
//! `cargo test sheet -- --ignored` writes `target/sheet/*.png`. Nothing is compared: this is for eyes.

use bevy::math::{Affine2, Vec2, vec2};
use resvg::tiny_skia::{Color, Pixmap, PixmapPaint, PixmapRef, Transform};

use super::{
    behavior::Behavior,
    body::{self, Body, Role},
    eye::EyeLook,
    life::{Life, Stimulus},
    necklace::Necklace,
    pictures::{paint_all, source_of},
    pose::Pose,
    raster::Picture,
    rig::{self, COPIES},
};
use crate::brain::protocol::MoodTag;

/// Draws a pose; `to_sheet` goes from the drawing to the sheet.
fn draw(
    body: &Body,
    pictures: &[Option<Picture>],
    scale: f32,
    pose: &Pose,
    to_sheet: Affine2,
    sheet: &mut Pixmap,
) {
    use bevy::color::ColorToPacked as _;
    let necklace = Necklace { notes: 9 };
    let bones = rig::bones(body, pose);
    let mut placed = Vec::new();
    for part in 0..body.parts.len() {
        for copy in 0..COPIES {
            if let Some(p) = rig::place(body, part, copy, &bones, pose) {
                placed.push((p.front, part, p));
            }
        }
    }
    placed.sort_by_key(|(front, part, _)| (*front, *part));
    for (_, part, p) in placed {
        let role = body.parts[part].role;
        let eye;
        let picture = if let Role::Eye(side) = role {
            let svg = EyeLook::of(pose, side).svg(body, side);
            eye = Picture::draw(&svg, scale).expect("an eye");
            &eye
        } else {
            pictures[source_of(body, part)].as_ref().expect("a picture")
        };
        let tinted;
        let pixels = if let Role::Bead(i) = role {
            let tint = bevy::color::Srgba::from(necklace.color(i)).to_u8_array();
            tinted = tint_by(&picture.pixels, tint);
            tinted.as_ref()
        } else {
            picture.pixels.as_ref()
        };
        paint(sheet, pixels, picture, to_sheet * p.at, p.alpha);
    }
}

fn tint_by(pixels: &Pixmap, tint: [u8; 4]) -> Pixmap {
    let mut out = pixels.clone();
    for p in out.data_mut().chunks_exact_mut(4) {
        for c in 0..3 {
            p[c] = (u16::from(p[c]) * u16::from(tint[c]) / 255) as u8;
        }
    }
    out
}

fn paint(sheet: &mut Pixmap, pixels: PixmapRef, picture: &Picture, at: Affine2, opacity: f32) {
    let unit = picture.size / vec2(pixels.width() as f32, pixels.height() as f32);
    let at = at * Affine2::from_scale_angle_translation(unit, 0.0, picture.corner);
    let m = at.matrix2;
    let transform = Transform::from_row(
        m.x_axis.x,
        m.x_axis.y,
        m.y_axis.x,
        m.y_axis.y,
        at.translation.x,
        at.translation.y,
    );
    let quality = resvg::tiny_skia::FilterQuality::Bilinear;
    let paint = PixmapPaint { opacity, quality, ..Default::default() };
    sheet.draw_pixmap(0, 0, pixels, &paint, transform, None);
}

/// The poses that are looked at, in reading order.
fn poses() -> Vec<Pose> {
    let mut poses = Vec::new();
    let still = |life: &mut Life, seconds: f32, stimulus: Stimulus| {
        let mut pose = Pose::default();
        for _ in 0..(seconds / 0.02) as usize {
            pose = life.advance(0.02, stimulus);
        }
        pose
    };
    for tag in MoodTag::ALL {
        let mut life = Life::new(7);
        life.feel(tag);
        poses.push(still(&mut life, 1.0, Stimulus::default()));
    }
    for behavior in Behavior::ALL {
        let mut life = Life::new(7);
        life.act(behavior);
        let hand = (behavior == Behavior::Held).then_some(vec2(260.0, 0.0));
        let stimulus = Stimulus { held_speed: hand, ..Default::default() };
        let seconds = match behavior {
            Behavior::Landing => 0.14,
            Behavior::Poked | Behavior::Startled => 0.3,
            Behavior::Sleep => 6.0,
            _ => 0.98,
        };
        poses.push(still(&mut life, seconds, stimulus));
    }
    for look in [vec2(-400.0, -200.0), vec2(400.0, 300.0), vec2(0.0, -500.0)] {
        let stimulus = Stimulus { cursor: Some(look), ..Default::default() };
        poses.push(still(&mut Life::new(7), 1.0, stimulus));
    }
    poses
}

fn write_sheet(name: &str, unit: f32, columns: usize, background: &dyn Fn(&mut Pixmap)) {
    let body = body::tests::tete();
    let scale = unit * 1.6;
    let pictures = paint_all(&body, scale).expect("pictures");
    let poses = poses();
    let cell = vec2(390.0, 400.0) * unit;
    let rows = poses.len().div_ceil(columns);
    let size = cell * vec2(columns as f32, rows as f32);
    let mut sheet = Pixmap::new(size.x as u32, size.y as u32).expect("a sheet");
    background(&mut sheet);
    for (i, pose) in poses.iter().enumerate() {
        let corner = cell * Vec2::new((i % columns) as f32, (i / columns) as f32);
        let at = corner + vec2(24.0, 28.0) * unit;
        let to_sheet = Affine2::from_scale_angle_translation(Vec2::splat(unit), 0.0, at);
        draw(&body, &pictures, scale, pose, to_sheet, &mut sheet);
    }
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sheet");
    std::fs::create_dir_all(&dir).expect("a folder");
    sheet.save_png(dir.join(name)).expect("a picture");
}

#[test]
#[ignore = "writes pictures to look at"]
fn sheet() {
    let plain = |r, g, b| move |s: &mut Pixmap| s.fill(Color::from_rgba8(r, g, b, 255));
    write_sheet("green-large.png", 0.8, 6, &plain(0x7f, 0xb9, 0xa8));
    write_sheet("black-small.png", 0.4, 8, &plain(0x10, 0x10, 0x14));
    write_sheet("white-small.png", 0.4, 8, &plain(0xff, 0xff, 0xff));
}
