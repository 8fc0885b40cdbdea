//! The few calls to the window system that Bevy does not make: where the cursor is, which part of the window takes
//! clicks, no entry in the taskbar. X11 through `x11rb`; elsewhere each answers "not known" or does nothing.

use std::sync::OnceLock;

use bevy::math::{IVec2, Vec2};
use raw_window_handle::RawWindowHandle;
use x11rb::{
    connection::Connection,
    protocol::{
        shape::{self, ConnectionExt as _},
        xproto::{self, ClientMessageEvent, ConnectionExt as _, EventMask, Rectangle},
    },
    rust_connection::RustConnection,
};

struct X11 {
    connection: RustConnection,
    root: u32,
    size: IVec2,
}

/// Our own connection; none where there is no X server.
fn x11() -> Option<&'static X11> {
    static X: OnceLock<Option<X11>> = OnceLock::new();
    X.get_or_init(|| {
        let (connection, screen) = x11rb::connect(None).ok()?;
        let screen = connection.setup().roots.get(screen)?;
        let (root, size) = (
            screen.root,
            IVec2::new(screen.width_in_pixels.into(), screen.height_in_pixels.into()),
        );
        Some(X11 { connection, root, size })
    })
    .as_ref()
}

fn x11_window(handle: RawWindowHandle) -> Option<u32> {
    match handle {
        RawWindowHandle::Xlib(h) => u32::try_from(h.window).ok(),
        RawWindowHandle::Xcb(h) => Some(h.window.get()),
        _ => None,
    }
}

/// Whether a window can be opened at all; if not, why.
///
/// # Errors
/// A sentence for the person.
pub fn check_display() -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    match (set("DISPLAY"), set("WAYLAND_DISPLAY")) {
        (false, false) => {
            Err("no display here (neither DISPLAY nor WAYLAND_DISPLAY is set)".into())
        }
        (true, false) => x11rb::connect(None)
            .map(|_| ())
            .map_err(|e| format!("the display cannot be opened ({e})")),
        (_, true) => check_wayland(),
    }
}

/// Whether somebody answers at the Wayland socket; the window would not look for X11 where its name is set.
fn check_wayland() -> Result<(), String> {
    let name = std::path::PathBuf::from(std::env::var_os("WAYLAND_DISPLAY").unwrap_or_default());
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from);
    let socket = folder.unwrap_or_default().join(&name);
    match connect_local(&socket) {
        Ok(()) => Ok(()),
        Err(e) => Err(format!(
            "the Wayland display cannot be opened ({}: {e}); without WAYLAND_DISPLAY the X11 display is used",
            socket.display()
        )),
    }
}

#[cfg(unix)]
fn connect_local(socket: &std::path::Path) -> std::io::Result<()> {
    std::os::unix::net::UnixStream::connect(socket).map(|_| ())
}

#[cfg(not(unix))]
fn connect_local(_socket: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

/// Whether there is anything to draw with: a graphics driver, if only one in software. The game cannot start without.
///
/// # Errors
/// A sentence for the person.
pub fn check_graphics() -> Result<(), String> {
    let instance =
        wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let backends = wgpu::Backends::from_env().unwrap_or(wgpu::Backends::all());
    let found = bevy::tasks::block_on(instance.enumerate_adapters(backends));
    if found.is_empty() {
        return Err("no graphics driver found (on Debian the package mesa-vulkan-drivers has one that works without a graphics card)".into());
    }
    Ok(())
}

/// The cursor in physical pixels of the whole desktop.
pub fn global_cursor() -> Option<Vec2> {
    let x = x11()?;
    let pointer = x.connection.query_pointer(x.root).ok()?.reply().ok()?;
    Some(Vec2::new(pointer.root_x.into(), pointer.root_y.into()))
}

/// Size of the whole desktop in physical pixels.
pub fn screen_size() -> Option<IVec2> {
    let x = x11()?;
    let now = x.connection.get_geometry(x.root).ok().and_then(|c| c.reply().ok());
    Some(now.map_or(x.size, |g| IVec2::new(g.width.into(), g.height.into())))
}

/// Only these rectangles (x, y, width, height in physical pixels of the window) take clicks.
pub fn set_input_region(handle: RawWindowHandle, rects: &[[i32; 4]]) {
    let (Some(x), Some(window)) = (x11(), x11_window(handle)) else { return };
    let small = |v: i32| v.clamp(-16_000, 16_000) as i16;
    let rects: Vec<Rectangle> = rects
        .iter()
        .map(|[a, b, w, h]| Rectangle {
            x: small(*a),
            y: small(*b),
            width: (*w).clamp(0, 16_000) as u16,
            height: (*h).clamp(0, 16_000) as u16,
        })
        .collect();
    let ordering = xproto::ClipOrdering::UNSORTED;
    let sent = x.connection.shape_rectangles(
        shape::SO::SET,
        shape::SK::INPUT,
        ordering,
        window,
        0,
        0,
        &rects,
    );
    if sent.is_err() || x.connection.flush().is_err() {
        bevy::log::debug!("the input region could not be set");
    }
}

/// Asks the window manager for no entry in taskbar and pager.
pub fn skip_taskbar(handle: RawWindowHandle) {
    let (Some(x), Some(window)) = (x11(), x11_window(handle)) else { return };
    let atom = |name: &str| {
        Some(x.connection.intern_atom(false, name.as_bytes()).ok()?.reply().ok()?.atom)
    };
    for name in ["_NET_WM_STATE_SKIP_TASKBAR", "_NET_WM_STATE_SKIP_PAGER"] {
        let (Some(state), Some(skip)) = (atom("_NET_WM_STATE"), atom(name)) else { return };
        let event = ClientMessageEvent::new(32, window, state, [1, skip, 0, 1, 0]);
        let mask = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
        let _ = x.connection.send_event(false, x.root, mask, event);
    }
    let _ = x.connection.flush();
}
