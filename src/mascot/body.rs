//! The layered SVG of a body → one image a layer, and where each hangs.
//!
//! Coordinates are those of the SVG (320 x 360, y down). Layers hang on bones; a bone turns around its pivot.

use bevy::{
    asset::RenderAssetUsages,
    prelude::*,
    render::render_resource::{Extent3d, TextureDimension, TextureFormat},
};
use resvg::{tiny_skia, usvg};

/// Size of the drawing in SVG units.
pub const CANVAS: Vec2 = Vec2::new(320.0, 360.0);
/// Where the bubble's tail points, in SVG units.
pub const MOUTH: Vec2 = Vec2::new(160.0, 150.0);

/// What turns together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Component)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Bone {
    Ground,
    Body,
    Tail,
    ArmLeft,
    ArmRight,
    Head,
    EarLeft,
    EarRight,
    Tuft,
    Pop,
}

impl Bone {
    /// All bones; parents before children.
    pub const ALL: [Self; 10] = [
        Self::Ground,
        Self::Body,
        Self::Tail,
        Self::ArmLeft,
        Self::ArmRight,
        Self::Head,
        Self::EarLeft,
        Self::EarRight,
        Self::Tuft,
        Self::Pop,
    ];

    /// What it hangs on.
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::Ground | Self::Pop => None,
            Self::Body => Some(Self::Ground),
            Self::Tail | Self::ArmLeft | Self::ArmRight | Self::Head => Some(Self::Body),
            Self::EarLeft | Self::EarRight | Self::Tuft => Some(Self::Head),
        }
    }

    /// Point it turns around, in SVG units.
    pub fn pivot(self) -> Vec2 {
        match self {
            Self::Ground | Self::Pop => Vec2::new(160.0, 336.0),
            Self::Body => Vec2::new(160.0, 334.0),
            Self::Tail => Vec2::new(222.0, 300.0),
            Self::ArmLeft => Vec2::new(106.0, 258.0),
            Self::ArmRight => Vec2::new(214.0, 258.0),
            Self::Head => Vec2::new(160.0, 226.0),
            Self::EarLeft => Vec2::new(92.0, 96.0),
            Self::EarRight => Vec2::new(228.0, 96.0),
            Self::Tuft => Vec2::new(160.0, 88.0),
        }
    }
}

/// Layers, back to front: id of the group in the SVG, bone.
pub const LAYERS: [(&str, Bone); 33] = [
    ("shadow", Bone::Ground),
    ("tail", Bone::Tail),
    ("foot_l", Bone::Ground),
    ("foot_r", Bone::Ground),
    ("body", Bone::Body),
    ("arm_l", Bone::ArmLeft),
    ("arm_r", Bone::ArmRight),
    ("scarf", Bone::Body),
    ("ear_l", Bone::EarLeft),
    ("ear_r", Bone::EarRight),
    ("head", Bone::Head),
    ("tuft", Bone::Tuft),
    ("blush", Bone::Head),
    ("brows", Bone::Head),
    ("eye_l_open", Bone::Head),
    ("eye_r_open", Bone::Head),
    ("eye_l_closed", Bone::Head),
    ("eye_r_closed", Bone::Head),
    ("eye_l_happy", Bone::Head),
    ("eye_r_happy", Bone::Head),
    ("nose", Bone::Head),
    ("mouth_smile", Bone::Head),
    ("mouth_open", Bone::Head),
    ("mouth_o", Bone::Head),
    ("mouth_sad", Bone::Head),
    ("star", Bone::Head),
    ("pop_heart", Bone::Pop),
    ("pop_zz", Bone::Pop),
    ("pop_dot_1", Bone::Pop),
    ("pop_dot_2", Bone::Pop),
    ("pop_dot_3", Bone::Pop),
    ("pop_spark", Bone::Pop),
    ("pop_sweat", Bone::Pop),
];

/// A layer as pixels.
#[derive(Debug)]
pub struct LayerImage {
    /// Id in [`LAYERS`].
    pub id: &'static str,
    /// Its bone.
    pub bone: Bone,
    /// Middle of the image, in SVG units.
    pub center: Vec2,
    /// Size of the image, in SVG units.
    pub size: Vec2,
    /// The pixels, straight alpha, edges bled outward.
    pub image: Image,
}

/// Turns all layers into images of `pixels_per_unit`.
///
/// # Errors
/// A drawing that cannot be read, or that lacks a layer.
pub fn rasterize(svg: &str, pixels_per_unit: f32) -> Result<Vec<LayerImage>, String> {
    let tree = usvg::Tree::from_str(svg, &usvg::Options::default())
        .map_err(|e| format!("the body's drawing: {e}"))?;
    LAYERS.iter().map(|(id, bone)| layer(&tree, id, *bone, pixels_per_unit)).collect()
}

fn layer(
    tree: &usvg::Tree,
    id: &'static str,
    bone: Bone,
    scale: f32,
) -> Result<LayerImage, String> {
    let node =
        tree.node_by_id(id).ok_or_else(|| format!("the body's drawing has no layer {id}"))?;
    let bounds = node.abs_layer_bounding_box().ok_or_else(|| format!("layer {id} is empty"))?;
    const PAD: f32 = 2.0;
    let width = (bounds.width() * scale + 2.0 * PAD).ceil() as u32;
    let height = (bounds.height() * scale + 2.0 * PAD).ceil() as u32;
    let mut pixmap =
        tiny_skia::Pixmap::new(width, height).ok_or_else(|| format!("layer {id} is too large"))?;
    let transform = tiny_skia::Transform::from_translate(PAD, PAD).pre_scale(scale, scale);
    resvg::render_node(node, transform, &mut pixmap.as_mut())
        .ok_or_else(|| format!("layer {id} cannot be drawn"))?;
    let data = straight_and_bled(&pixmap);
    let image = Image::new(
        Extent3d { width, height, depth_or_array_layers: 1 },
        TextureDimension::D2,
        data,
        TextureFormat::Rgba8UnormSrgb,
        RenderAssetUsages::RENDER_WORLD,
    );
    let size = Vec2::new(width as f32, height as f32) / scale;
    let corner = Vec2::new(bounds.x(), bounds.y()) - PAD / scale;
    Ok(LayerImage { id, bone, center: corner + size / 2.0, size, image })
}

/// Straight alpha; clear pixels take the colour of a neighbour, so that filtering draws no dark fringe.
fn straight_and_bled(pixmap: &tiny_skia::Pixmap) -> Vec<u8> {
    let (w, h) = (pixmap.width() as usize, pixmap.height() as usize);
    let mut data: Vec<u8> = pixmap
        .pixels()
        .iter()
        .flat_map(|p| {
            let c = p.demultiply();
            [c.red(), c.green(), c.blue(), c.alpha()]
        })
        .collect();
    for _ in 0..2 {
        let before = data.clone();
        let colored = |x: usize, y: usize| {
            let p = &before[(y * w + x) * 4..][..4];
            (p[3] >= 8 || (p[3] == 0 && p[0] | p[1] | p[2] != 0)).then_some([p[0], p[1], p[2]])
        };
        for y in 0..h {
            for x in 0..w {
                if colored(x, y).is_some() {
                    continue;
                }
                let near = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
                if let Some(c) = near
                    .into_iter()
                    .filter(|(x, y)| *x < w && *y < h)
                    .find_map(|(x, y)| colored(x, y))
                {
                    data[(y * w + x) * 4..][..3].copy_from_slice(&c);
                }
            }
        }
    }
    data
}

/// Rows of the whole figure that take clicks: rectangles in SVG units, from the drawing at rest.
pub fn silhouette(svg: &str) -> Vec<Rect> {
    const STEP: f32 = 6.0;
    let Ok(tree) = usvg::Tree::from_str(svg, &usvg::Options::default()) else { return Vec::new() };
    let scale = 0.5;
    let Some(mut pixmap) =
        tiny_skia::Pixmap::new((CANVAS.x * scale) as u32, (CANVAS.y * scale) as u32)
    else {
        return Vec::new();
    };
    for (id, bone) in LAYERS.iter().filter(|l| l.0 != "shadow") {
        if *bone == Bone::Pop {
            continue;
        }
        if let Some(node) = tree.node_by_id(id)
            && let Some(b) = node.abs_layer_bounding_box()
        {
            let at = tiny_skia::Transform::from_scale(scale, scale).pre_translate(b.x(), b.y());
            let _ = resvg::render_node(node, at, &mut pixmap.as_mut());
        }
    }
    let (w, rows) = (pixmap.width() as usize, pixmap.height() as usize);
    let step = (STEP * scale) as usize;
    let mut rects = Vec::new();
    for top in (0..rows).step_by(step) {
        let solid = |x: &usize| {
            (top..(top + step).min(rows)).any(|y| pixmap.pixels()[y * w + x].alpha() > 100)
        };
        let xs: Vec<usize> = (0..w).filter(solid).collect();
        if let (Some(first), Some(last)) = (xs.first(), xs.last()) {
            let (l, r) = (*first as f32 / scale, (*last + 1) as f32 / scale);
            rects.push(Rect::new(l, top as f32 / scale, r, top as f32 / scale + STEP));
        }
    }
    rects
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = include_str!("../../assets/bodies/tete/tete.svg");

    #[test]
    fn every_layer_is_drawn_and_stands_on_the_canvas() {
        let layers = rasterize(SVG, 1.0).expect("layers");
        assert_eq!(layers.len(), LAYERS.len());
        for layer in &layers {
            let data = layer.image.data.as_ref().expect("pixels");
            assert!(
                data.chunks(4).any(|p| p[3] > 200) || layer.id == "shadow" || layer.id == "blush",
                "{} is empty",
                layer.id
            );
            assert_eq!(data[3], 0, "{}: its corner is clear", layer.id);
            let inside = Rect::from_corners(Vec2::splat(-8.0), CANVAS + 8.0);
            assert!(inside.contains(layer.center), "{} at {}", layer.id, layer.center);
        }
    }

    #[test]
    fn the_silhouette_leaves_the_corners_free() {
        let rects = silhouette(SVG);
        assert!(rects.len() > 30);
        let hit = |p: Vec2| rects.iter().any(|r| r.contains(p));
        assert!(hit(Vec2::new(160.0, 160.0)) && hit(Vec2::new(160.0, 300.0)));
        assert!(
            !hit(Vec2::new(4.0, 4.0))
                && !hit(Vec2::new(316.0, 356.0))
                && !hit(Vec2::new(4.0, 340.0))
        );
    }
}
