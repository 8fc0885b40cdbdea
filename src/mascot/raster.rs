//! A drawing (SVG text) → pixels with a place. Knows no bones.

use anyhow::{Context, ensure};
use bevy::{
    asset::RenderAssetUsages,
    image::Image,
    math::Vec2,
    render::render_resource::{Extent3d, TextureDimension, TextureFormat},
};
use resvg::{tiny_skia, usvg};

/// Clear pixels kept around a drawing, so that filtering finds its true edge.
const PAD: u32 = 2;

/// Pixels of one drawing, trimmed to what is drawn.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Premultiplied pixels.
    pub pixels: tiny_skia::Pixmap,
    /// Upper left corner, in units of the drawing.
    pub corner: Vec2,
    /// Size, in units of the drawing.
    pub size: Vec2,
}

impl Picture {
    /// Draws `svg` with `scale` pixels a unit. Its view box starts at 0, and its size is that of the view box.
    ///
    /// # Errors
    /// Text that is no SVG, or one without anything to see.
    pub fn draw(svg: &str, scale: f32) -> anyhow::Result<Self> {
        let tree = usvg::Tree::from_str(svg, &usvg::Options::default())?;
        ensure!(tree.root().has_children(), "nothing is drawn");
        let bounds = tree.root().abs_layer_bounding_box();
        let pad = PAD as f32;
        let width = (bounds.width() * scale).ceil() as u32 + 2 * PAD;
        let height = (bounds.height() * scale).ceil() as u32 + 2 * PAD;
        let mut pixels = tiny_skia::Pixmap::new(width, height).context("it is too large")?;
        let to_pixels = tiny_skia::Transform::from_translate(pad, pad)
            .pre_scale(scale, scale)
            .pre_translate(-bounds.x(), -bounds.y());
        resvg::render(&tree, to_pixels, &mut pixels.as_mut());
        let corner = Vec2::new(bounds.x(), bounds.y()) - pad / scale;
        Ok(Self { pixels, corner, size: Vec2::new(width as f32, height as f32) / scale })
    }

    /// The pixels as Bevy draws them: straight alpha, colours bled outward so that filtering shows no dark fringe.
    pub fn to_image(&self) -> Image {
        let size = Extent3d {
            width: self.pixels.width(),
            height: self.pixels.height(),
            depth_or_array_layers: 1,
        };
        let data = straight_and_bled(&self.pixels);
        let format = TextureFormat::Rgba8UnormSrgb;
        Image::new(size, TextureDimension::D2, data, format, RenderAssetUsages::default())
    }
}

/// Alpha below which a pixel's own colour is rounding noise.
const FAINT: u8 = 8;
/// How far colours bleed, pixels.
const BLEED: usize = 10;

/// Straight alpha; clear and faint pixels take the colour of the nearest solid one.
pub fn straight_and_bled(pixels: &tiny_skia::Pixmap) -> Vec<u8> {
    let (w, h) = (pixels.width() as usize, pixels.height() as usize);
    let mut data: Vec<u8> = pixels
        .pixels()
        .iter()
        .flat_map(|p| {
            let c = p.demultiply();
            [c.red(), c.green(), c.blue(), c.alpha()]
        })
        .collect();
    let mut colored: Vec<bool> = data.chunks_exact(4).map(|p| p[3] >= FAINT).collect();
    let mut front: Vec<usize> = (0..w * h).filter(|i| colored[*i]).collect();
    for _ in 0..BLEED {
        let mut next = Vec::new();
        for from in front {
            let (x, y) = (from % w, from / w);
            let near = [
                (x > 0).then(|| from - 1),
                (x + 1 < w).then(|| from + 1),
                (y > 0).then(|| from - w),
                (y + 1 < h).then(|| from + w),
            ];
            for to in near.into_iter().flatten() {
                if colored[to] {
                    continue;
                }
                let color = [data[from * 4], data[from * 4 + 1], data[from * 4 + 2]];
                data[to * 4..to * 4 + 3].copy_from_slice(&color);
                colored[to] = true;
                next.push(to);
            }
        }
        front = next;
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOT: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" width="40" height="40">
        <circle cx="5" cy="5" r="4" fill="#ff8000"/></svg>"##;

    #[test]
    fn a_drawing_is_trimmed_and_knows_its_place() {
        let picture = Picture::draw(DOT, 2.0).expect("a picture");
        assert!((picture.corner + picture.size / 2.0).distance(Vec2::splat(5.0)) < 0.6);
        assert_eq!(picture.pixels.width(), 20);
        assert_eq!(picture.pixels.pixels()[0].alpha(), 0);
    }

    #[test]
    fn colour_bleeds_outward_but_stays_clear() {
        let picture = Picture::draw(DOT, 2.0).expect("a picture");
        let data = straight_and_bled(&picture.pixels);
        let edge = &data[(10 * 20 + 1) * 4..][..4];
        assert_eq!(edge[3], 0);
        assert!(edge[0] > 240 && (100..160).contains(&edge[1]), "{edge:?}");
    }

    #[test]
    fn what_is_no_drawing_is_refused() {
        assert!(Picture::draw("<svg", 1.0).is_err());
    }
}
