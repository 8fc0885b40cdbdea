//! The talk without figure and without model: bubble, panel and menu over a stand-in that echoes.
//!
//! For looking at the interface only. `DIALOGUE_TAB=memory` opens that page at the start, `DIALOGUE_SAY=TEXT` says a
//! line, `DIALOGUE_MENU=1` opens the menu, `DIALOGUE_SETTINGS=FILE` keeps the settings.

use std::{thread, time::Duration};

use bevy::{
    prelude::*,
    window::CompositeAlphaMode,
    winit::{UpdateMode, WinitSettings},
};
use companion::{
    about_panel,
    brain::protocol::{BrainEvent, BrainInfo, BrainRequest, MoodTag, ReplyStats},
    controls,
    dialogue::{
        self, SubmitUtterance,
        panel::{OpenPanel, Tab},
        seams::{BrainLink, BrainNews, InteractiveRects, MascotLayout, MenuRequested, PlayCue},
    },
    memory_panel, onboarding,
    persona_panel::{self, SlotList, SlotSummary, Slots},
    settings::{self, SettingsFile},
};
use crossbeam_channel::{Receiver, Sender};

#[derive(Resource)]
struct Inbox(Receiver<BrainEvent>);

fn main() {
    let (requests, orders) = crossbeam_channel::bounded(8);
    let (news, inbox) = crossbeam_channel::unbounded();
    thread::spawn(move || echo(&orders, &news));
    let mut app = App::new();
    app.add_plugins(DefaultPlugins.set(WindowPlugin {
        primary_window: Some(Window {
            title: "mascot".into(),
            resolution: (360, 520).into(),
            decorations: false,
            transparent: true,
            composite_alpha_mode: CompositeAlphaMode::Auto,
            position: WindowPosition::At(IVec2::new(60, 120)),
            ..default()
        }),
        ..default()
    }))
    .add_plugins(bevy_egui::EguiPlugin::default())
    .insert_resource(ClearColor(Color::NONE))
    .insert_resource(BrainLink::new(requests))
    .insert_resource(Inbox(inbox))
    .insert_resource(SlotList(Box::new(Shelf(vec!["tori", "momo"]))))
    .init_resource::<MascotLayout>()
    .init_resource::<InteractiveRects>()
    .add_message::<BrainNews>()
    .add_message::<PlayCue>();
    if let Some(file) = std::env::var_os("DIALOGUE_SETTINGS") {
        app.insert_resource(SettingsFile(file.into()));
    }
    app.add_plugins((
        settings::plugin,
        dialogue::plugin,
        memory_panel::plugin,
        persona_panel::plugin,
        about_panel::plugin,
        controls::plugin,
        onboarding::plugin,
    ))
    .insert_resource(WinitSettings { focused_mode: calm(), unfocused_mode: calm() })
    .add_systems(Last, count_updates)
    .add_systems(Startup, spawn_stand_in)
    .add_systems(First, clear_rects)
    .add_systems(PreUpdate, receive)
    .add_systems(Update, (right_click, act_out_variables))
    .run();
}

/// Ten updates a second, as the mascot does while nothing happens.
fn calm() -> UpdateMode {
    UpdateMode::Reactive {
        wait: Duration::from_millis(100),
        react_to_device_events: false,
        react_to_user_events: true,
        react_to_window_events: true,
    }
}

fn count_updates(time: Res<Time<Real>>, mut n: Local<u32>, mut since: Local<f32>) {
    *n += 1;
    if time.elapsed_secs() - *since >= 5.0 {
        info!("{:.1} updates a second", *n as f32 / (time.elapsed_secs() - *since));
        (*n, *since) = (0, time.elapsed_secs());
    }
}

fn spawn_stand_in(mut commands: Commands) {
    commands.spawn((Camera2d, Msaa::Off));
    commands.spawn((
        Sprite::from_color(Color::srgb_u8(0xFB, 0xE9, 0xD2), Vec2::new(180.0, 220.0)),
        Transform::from_xyz(0.0, -110.0, 0.0),
    ));
}

fn clear_rects(mut rects: ResMut<InteractiveRects>) {
    rects.0.clear();
}

fn receive(inbox: Res<Inbox>, mut news: MessageWriter<BrainNews>) {
    inbox.0.try_iter().take(64).for_each(|event| _ = news.write(BrainNews(event)));
}

fn right_click(
    buttons: Res<ButtonInput<MouseButton>>,
    windows: Query<&Window, With<bevy::window::PrimaryWindow>>,
    mut menus: MessageWriter<MenuRequested>,
) {
    if buttons.just_pressed(MouseButton::Right)
        && let Ok(window) = windows.single()
        && let Some(at) = window.cursor_position()
    {
        menus.write(MenuRequested { at });
    }
}

fn act_out_variables(
    mut frame: Local<u32>,
    mut pages: MessageWriter<OpenPanel>,
    mut said: MessageWriter<SubmitUtterance>,
    mut menus: MessageWriter<MenuRequested>,
) {
    *frame += 1;
    let tab = std::env::var("DIALOGUE_TAB").unwrap_or_default();
    if *frame == 5 {
        if let Some(tab) = Tab::ALL.into_iter().find(|t| format!("{t:?}").to_lowercase() == tab) {
            pages.write(OpenPanel(tab));
        }
        if let Ok(text) = std::env::var("DIALOGUE_SAY") {
            said.write(SubmitUtterance { text, learn: true });
        }
        if std::env::var_os("DIALOGUE_MENU").is_some() {
            menus.write(MenuRequested { at: Vec2::new(150.0, 240.0) });
        }
    }
}

/// A brain that knows nothing and echoes.
fn echo(orders: &Receiver<BrainRequest>, news: &Sender<BrainEvent>) {
    let mut info = BrainInfo {
        model_id: "0000echo0000".into(),
        memory_bytes: 1_573_112,
        threads: 2,
        isa: "none".into(),
        device: "example".into(),
        persona: "tori".into(),
        companion_name: "Tori".into(),
        heads: (0..6)
            .map(|l| (0..6).map(|h| (h >= 4, 0.2 + ((l * 7 + h * 5) % 9) as f32)).collect())
            .collect(),
        ..BrainInfo::default()
    };
    let tell = |event| _ = news.send(event);
    tell(BrainEvent::Ready { turn: None, info: info.clone() });
    for order in orders {
        match order {
            BrainRequest::Say { turn, text, .. } => {
                thread::sleep(Duration::from_millis(900));
                tell(BrainEvent::Mood { turn, mood: MoodTag::Happy });
                tell(BrainEvent::Remembered { turn, text: text.chars().take(24).collect() });
                let reply = format!("(echo) {text}");
                for piece in reply.split_inclusive([' ', '、', '。']) {
                    tell(BrainEvent::Delta { turn, text: piece.to_owned() });
                    thread::sleep(Duration::from_millis(120));
                }
                info.tokens_read += 20;
                tell(BrainEvent::Finished { turn, reply, stats: ReplyStats::default() });
            }
            BrainRequest::Recall { turn, .. } => {
                for (topic, answer, known, confidence) in [
                    ("name", "Your name is Mia.", true, 0.93),
                    ("dog_name", "きみの犬の名前はポチだよ。", true, 0.71),
                    ("favorite_food", "Your favorite food is miso soup with tofu.", true, 0.44),
                    ("birthday", "", false, 0.9),
                    ("job", "", false, 0.8),
                ] {
                    let (topic, answer) = (topic.to_owned(), answer.to_owned());
                    tell(BrainEvent::Recalled { turn, topic, answer, known, confidence });
                }
                tell(BrainEvent::RecallDone { turn });
            }
            BrainRequest::SwitchPersona { turn, slot } => {
                info.persona = slot;
                tell(BrainEvent::Ready { turn: Some(turn), info: info.clone() });
            }
            BrainRequest::WriteNote { turn, .. } | BrainRequest::Reset { turn } => {
                tell(BrainEvent::Saved { turn, path: "/memory".into(), info: info.clone() });
            }
            BrainRequest::Export { turn, path } | BrainRequest::Import { turn, path } => {
                tell(BrainEvent::Saved { turn, path, info: info.clone() });
            }
            _ => {}
        }
    }
}

struct Shelf(Vec<&'static str>);

impl Slots for Shelf {
    fn list(&self) -> Vec<SlotSummary> {
        let summary = |slot: &&str| SlotSummary {
            slot: (*slot).to_owned(),
            companion_name: slot[..1].to_uppercase() + &slot[1..],
            last_used_unix_s: None,
        };
        self.0.iter().map(summary).collect()
    }

    fn create(&mut self, _: &str) -> Result<String, String> {
        Err("the example has no slots to give".to_owned())
    }

    fn delete(&mut self, slot: &str) -> Result<(), String> {
        self.0.retain(|s| *s != slot);
        Ok(())
    }
}
