//! How often the game is updated: frames are the currency of a thing that stands on the desktop all day.
//!
//! Calm about 8 a second, asleep about 1.4, hidden none, in motion up to 60. Also counts what was really done.

use std::time::Duration;

use bevy::{
    prelude::*,
    window::PrimaryWindow,
    winit::{UpdateMode, WinitSettings},
};

use super::platform;
use crate::{
    controls::{self, Manners},
    dialogue::bubble::Bubble,
    mascot::{Mascot, MascotLayout, WINDOW_SIZE},
};

/// Longest time the loop sleeps while the figure can be seen.
const LONGEST: Duration = Duration::from_secs(1);
/// Logical pixels around the mascot window in which the pointer counts as near.
const NEAR: f32 = 24.0;

/// How often the game was updated; also said in the log (level debug) every ten seconds.
#[derive(Debug, Clone, Copy, Default, Resource)]
pub struct Updates {
    /// Since the start.
    pub total: u64,
    /// A second, over the last ten seconds.
    pub per_second: f32,
}

/// Adds the systems of this file.
pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Updates>()
        .insert_resource(settings_for(Duration::from_millis(100), true))
        .add_systems(Last, (pace, count_updates));
}

/// Window events wake the loop only where somebody may be acting: each redraw is an event too, and would double the
/// number of updates. Without them a press waits for the next update, which is soon.
fn settings_for(wait: Duration, react_to_window_events: bool) -> WinitSettings {
    let mode = UpdateMode::Reactive {
        wait,
        react_to_device_events: false,
        react_to_user_events: true,
        react_to_window_events,
    };
    WinitSettings { focused_mode: mode, unfocused_mode: mode }
}

/// How long the loop may sleep before the next update, and what wakes it.
fn pace(
    mascot: Res<Mascot>,
    layout: Res<MascotLayout>,
    bubble: Option<Res<Bubble>>,
    manners: Option<Res<Manners>>,
    time: Res<Time<Real>>,
    windows: Query<(&Window, Has<PrimaryWindow>)>,
    mut settings: ResMut<WinitSettings>,
    mut last: Local<(Duration, bool)>,
) {
    let seen = windows.iter().any(|(w, _)| w.visible);
    let wait = if seen {
        let bubble_wait = match bubble {
            Some(b) if b.is_typing() => Duration::from_millis(33),
            Some(b) if b.is_open() => Duration::from_millis(125),
            _ => LONGEST,
        };
        Duration::from_secs_f32(mascot.life.next_wake()).min(bubble_wait)
    } else {
        let until = manners.and_then(|m| m.hidden_until);
        until.map_or(Duration::from_secs(3600), |at| {
            at.saturating_sub(controls::now(&time)).max(Duration::from_millis(200))
        })
    };
    let panel = windows.iter().any(|(w, mascot)| !mascot && w.visible);
    // Hidden, the loop must not hear window events at all: a redraw of a window that is not there asks for the next.
    let events = panel || (seen && is_near(&mascot, &layout));
    if *last != (wait, events) {
        *last = (wait, events);
        *settings = settings_for(wait, events);
    }
}

/// Whether the pointer is at the mascot window; where it cannot be known it always is.
fn is_near(mascot: &Mascot, layout: &MascotLayout) -> bool {
    if platform::global_cursor().is_none() {
        return true;
    }
    let window = Rect::from_corners(Vec2::ZERO, WINDOW_SIZE.as_vec2()).inflate(NEAR);
    mascot.cursor.is_some_and(|c| window.contains(layout.figure_rect.min + c * layout.unit()))
}

fn count_updates(
    time: Res<Time<Real>>,
    mut updates: ResMut<Updates>,
    mut since: Local<(u64, f32)>,
) {
    updates.total += 1;
    let passed = time.elapsed_secs() - since.1;
    if passed >= 10.0 {
        updates.per_second = (updates.total - since.0) as f32 / passed;
        debug!("{:.1} updates a second", updates.per_second);
        *since = (updates.total, time.elapsed_secs());
    }
}
