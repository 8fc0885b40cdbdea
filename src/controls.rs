//! What the person orders by menu: the right-click menu of the figure and the one message it sends.
//!
//! In: [`MenuRequested`]. Out: [`UserCommand`], and what follows from it: pages open, an hour of quiet, hiding,
//! quitting. A tray or hotkeys would send the same message.
//!
//! Hiding without a tray: the mascot window is made invisible for [`HIDE_FOR`] and then comes back by itself;
//! [`UserCommand::Show`] (for a second start of the program) brings it back at once.

use std::time::Duration;

use bevy::{prelude::*, window::PrimaryWindow};
use bevy_egui::{
    EguiContext, EguiPrimaryContextPass, PrimaryEguiContext,
    egui::{
        self, Align2, Color32, CornerRadius, Frame, Id, Key, Margin, Order, Sense, Stroke, Ui, vec2,
    },
};

use crate::{
    dialogue::{
        egui_contexts::Dressed,
        panel::{OpenPanel, Tab},
        seams::{InteractiveRects, MenuRequested},
    },
    i18n::Locale,
    theme::{self, LINE, PAPER, PLUM, ROSE, ROSE_PALE, TEAL_PALE, soft_shadow},
};

/// How long the figure stays away after "Hide".
pub const HIDE_FOR: Duration = Duration::from_secs(15 * 60);
const QUIET_FOR: Duration = Duration::from_secs(60 * 60);

/// An order of the person to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
pub enum UserCommand {
    /// Open the chat page.
    Talk,
    /// Open the memory page.
    Memory,
    /// Say nothing unasked for an hour; again: speak again.
    QuietHour,
    /// Go away for [`HIDE_FOR`].
    Hide,
    /// Come back.
    Show,
    /// Open the settings page.
    Settings,
    /// Save and end the program.
    Quit,
}

impl UserCommand {
    const MENU: [Self; 6] =
        [Self::Talk, Self::Memory, Self::Settings, Self::QuietHour, Self::Hide, Self::Quit];
}

/// Time since the start, now. `Time<Real>` itself is that of the frame before: after a long sleep it has not moved yet.
pub fn now(time: &Time<Real>) -> Duration {
    time.elapsed().max(time.startup().elapsed())
}

/// Promises that end by themselves; times are those of [`now`].
#[derive(Debug, Clone, Default, Resource)]
pub struct Manners {
    /// Say nothing unasked until then.
    pub quiet_until: Option<Duration>,
    /// Stay invisible until then. A sleeping program should set its alarm to it.
    pub hidden_until: Option<Duration>,
}

impl Manners {
    /// True during an hour of quiet.
    pub fn is_quiet(&self) -> bool {
        self.quiet_until.is_some()
    }
}

/// The open menu: where it was asked for, logical pixels.
#[derive(Debug, Default, Resource)]
struct Menu(Option<egui::Pos2>);

/// Adds the systems of this file.
pub fn plugin(app: &mut App) {
    app.init_resource::<Menu>()
        .init_resource::<Manners>()
        .add_message::<UserCommand>()
        .add_message::<MenuRequested>()
        .add_systems(Update, (open_menu, obey, keep_promises).chain())
        .add_systems(EguiPrimaryContextPass, draw_menu);
}

fn open_menu(mut wishes: MessageReader<MenuRequested>, mut menu: ResMut<Menu>) {
    if let Some(wish) = wishes.read().last() {
        menu.0 = Some(egui::pos2(wish.at.x, wish.at.y));
    }
}

fn obey(
    mut commands: MessageReader<UserCommand>,
    mut manners: ResMut<Manners>,
    mut windows: Query<&mut Window, With<PrimaryWindow>>,
    mut pages: MessageWriter<OpenPanel>,
    mut exit: MessageWriter<AppExit>,
    time: Res<Time<Real>>,
) {
    for command in commands.read() {
        match command {
            UserCommand::Talk => _ = pages.write(OpenPanel(Tab::Chat)),
            UserCommand::Memory => _ = pages.write(OpenPanel(Tab::Memory)),
            UserCommand::Settings => _ = pages.write(OpenPanel(Tab::Settings)),
            UserCommand::QuietHour => {
                let until = now(&time) + QUIET_FOR;
                manners.quiet_until = if manners.is_quiet() { None } else { Some(until) };
            }
            UserCommand::Hide => {
                manners.hidden_until = Some(now(&time) + HIDE_FOR);
                windows.iter_mut().for_each(|mut w| w.visible = false);
            }
            UserCommand::Show => {
                manners.hidden_until = None;
                windows.iter_mut().for_each(|mut w| w.visible = true);
            }
            UserCommand::Quit => _ = exit.write(AppExit::Success),
        }
    }
}

fn keep_promises(
    time: Res<Time<Real>>,
    mut manners: ResMut<Manners>,
    mut commands: MessageWriter<UserCommand>,
) {
    let over = |until: Option<Duration>| until.is_some_and(|at| now(&time) >= at);
    if over(manners.quiet_until) {
        manners.quiet_until = None;
    }
    if over(manners.hidden_until) {
        manners.hidden_until = None;
        commands.write(UserCommand::Show);
    }
}

fn draw_menu(
    mut contexts: Query<&mut EguiContext, (With<PrimaryEguiContext>, With<Dressed>)>,
    mut menu: ResMut<Menu>,
    manners: Res<Manners>,
    locale: Res<Locale>,
    rects: Option<ResMut<InteractiveRects>>,
    mut commands: MessageWriter<UserCommand>,
) {
    let (Ok(mut context), Some(at)) = (contexts.single_mut(), menu.0) else { return };
    let ctx = context.get_mut();
    let frame = Frame::new()
        .fill(PAPER)
        .stroke(Stroke::new(1.5, LINE))
        .corner_radius(CornerRadius::same(14))
        .shadow(soft_shadow())
        .inner_margin(Margin::same(6));
    let area = egui::Area::new(Id::new("figure menu"))
        .order(Order::Foreground)
        .fixed_pos(at)
        .constrain_to(ctx.viewport_rect().shrink(6.0))
        .show(ctx, |ui| frame.show(ui, |ui| entries(ui, &locale, &manners)).inner);
    let rect = area.response.rect;
    if let Some(mut rects) = rects {
        rects.0.push(Rect::new(rect.min.x, rect.min.y, rect.max.x, rect.max.y));
    }
    let elsewhere = ctx.input(|i| {
        let away = |p: egui::Pos2| !rect.expand(4.0).contains(p);
        (i.pointer.any_pressed() && i.pointer.interact_pos().is_some_and(away))
            || i.key_pressed(Key::Escape)
    });
    if let Some(command) = area.inner {
        commands.write(command);
    }
    if elsewhere || area.inner.is_some() {
        menu.0 = None;
    }
}

fn entries(ui: &mut Ui, locale: &Locale, manners: &Manners) -> Option<UserCommand> {
    let font = theme::font(14.5);
    let labels = UserCommand::MENU.map(|c| (c, label(c, locale, manners)));
    let width = labels.iter().map(|(_, l)| {
        ui.ctx().fonts_mut(|f| l.chars().map(|c| f.glyph_width(&font, c)).sum::<f32>())
    });
    let size = vec2(width.fold(0.0, f32::max) + 30.0, 30.0);
    ui.spacing_mut().item_spacing.y = 1.0;
    let mut chosen = None;
    for (command, label) in labels {
        if matches!(command, UserCommand::QuietHour | UserCommand::Quit) {
            let (line, _) = ui.allocate_exact_size(vec2(size.x, 7.0), Sense::hover());
            ui.painter().hline(line.x_range().shrink(8.0), line.center().y, Stroke::new(1.0, LINE));
        }
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Button, true, &label));
        let quit = command == UserCommand::Quit;
        let ground = match (response.hovered() || response.has_focus(), quit) {
            (false, _) => Color32::TRANSPARENT,
            (true, true) => ROSE_PALE,
            (true, false) => TEAL_PALE,
        };
        ui.painter().rect_filled(rect, CornerRadius::same(9), ground);
        let ink = if quit { ROSE } else { PLUM };
        let start = rect.left_center() + vec2(12.0, 0.0);
        ui.painter().text(start, Align2::LEFT_CENTER, label, font.clone(), ink);
        if response.clicked() {
            chosen = Some(command);
        }
    }
    chosen
}

fn label(command: UserCommand, locale: &Locale, manners: &Manners) -> String {
    locale.text(match command {
        UserCommand::Talk => "menu-talk",
        UserCommand::Memory => "menu-memory",
        UserCommand::QuietHour if manners.is_quiet() => "menu-speak-again",
        UserCommand::QuietHour => "menu-quiet",
        UserCommand::Hide => "menu-hide",
        UserCommand::Show => "menu-show",
        UserCommand::Settings => "menu-settings",
        UserCommand::Quit => "menu-quit",
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bevy::time::TimeUpdateStrategy;

    use super::*;

    fn app() -> App {
        let mut app = App::new();
        app.add_plugins(MinimalPlugins)
            .insert_resource(TimeUpdateStrategy::Automatic)
            .add_message::<OpenPanel>()
            .add_message::<UserCommand>()
            .init_resource::<Manners>()
            .add_systems(Update, (obey, keep_promises).chain());
        app.world_mut().spawn((Window::default(), PrimaryWindow));
        app
    }

    fn order(app: &mut App, command: UserCommand) {
        app.world_mut().write_message(command);
        app.update();
    }

    fn visible(app: &mut App) -> bool {
        app.world_mut().query::<&Window>().single(app.world()).unwrap().visible
    }

    #[test]
    fn hides_and_comes_back_when_asked_or_by_itself() {
        let mut app = app();
        order(&mut app, UserCommand::Hide);
        assert!(!visible(&mut app));
        order(&mut app, UserCommand::Show);
        assert!(visible(&mut app));
        order(&mut app, UserCommand::Hide);
        let later = Instant::now() + HIDE_FOR + Duration::from_secs(1);
        app.insert_resource(TimeUpdateStrategy::ManualInstant(later));
        app.update();
        app.update();
        assert!(visible(&mut app));
    }

    #[test]
    fn an_hour_of_quiet_can_be_ended() {
        let mut app = app();
        order(&mut app, UserCommand::QuietHour);
        assert!(app.world().resource::<Manners>().is_quiet());
        order(&mut app, UserCommand::QuietHour);
        assert!(!app.world().resource::<Manners>().is_quiet());
    }
}
