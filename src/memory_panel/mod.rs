//! The Memory page: what the companion remembers, how big its memory is, and what can be done with it.
//!
//! In: the brain's answers and figures. Out: requests to the brain. It shows nothing that was not asked of the
//! memory itself: the list is what a copy of the fast weights answers now.

mod care;
mod correction;
mod heart;
mod recall;

use bevy::prelude::*;

use crate::{
    brain::protocol::{BrainEvent, BrainInfo, BrainRequest, Language, ReplyStats, TurnId},
    dialogue::{
        Transcript,
        panel::{PanelPass, PanelUi, Tab, TabSystems, tab_is},
        seams::{BrainLink, BrainNews},
    },
    i18n::Locale,
    theme::widgets::{card, warning},
};

pub(crate) use heart::grouped;

/// What is known about the running brain, for all pages.
#[derive(Debug, Clone, Default, Resource)]
pub struct KnownBrain {
    /// The newest figures; none before the brain is ready.
    pub info: Option<BrainInfo>,
    /// Figures of the newest finished reply.
    pub last_reply: Option<ReplyStats>,
}

/// One answer of the memory.
#[derive(Debug, Clone, PartialEq)]
struct Recollection {
    topic: String,
    answer: String,
    known: bool,
    confidence: f32,
}

/// What the page remembers between frames.
#[derive(Debug, Default, Resource)]
struct MemoryPage {
    items: Vec<Recollection>,
    /// The question round that is running, with its answers so far.
    asking: Option<(TurnId, Vec<Recollection>)>,
    /// The answers are older than the last talk.
    stale: bool,
    language: Option<Language>,
    /// The answer being corrected (topic) and the text in its field.
    correcting: Option<(String, String)>,
    care: care::CareFields,
    /// Request of this page whose end is awaited, and what to say then.
    awaited: Option<(TurnId, &'static str)>,
    /// What came of the last request; true: it worked.
    outcome: Option<(bool, String)>,
}

/// What the page wants done after it was drawn.
#[derive(Debug, Clone, PartialEq)]
enum Wish {
    AskAgain,
    Sleep,
    Write(String),
    Forget(String),
    Reset,
    Export(String),
    Import(String),
}

/// Adds the systems of this file.
pub fn plugin(app: &mut App) {
    app.init_resource::<KnownBrain>().init_resource::<MemoryPage>().add_systems(
        Update,
        (hear_figures, hear_answers).after(crate::dialogue::flow::FlowSystems),
    );
    app.add_systems(PanelPass, show_memory.run_if(tab_is(Tab::Memory)).after(TabSystems));
}

fn hear_figures(mut news: MessageReader<BrainNews>, mut known: ResMut<KnownBrain>) {
    for BrainNews(event) in news.read() {
        match event {
            BrainEvent::Ready { info, .. }
            | BrainEvent::Info { info, .. }
            | BrainEvent::Slept { info, .. }
            | BrainEvent::Saved { info, .. } => known.info = Some(info.clone()),
            BrainEvent::Finished { stats, .. } => known.last_reply = Some(stats.clone()),
            _ => {}
        }
    }
}

fn hear_answers(
    mut news: MessageReader<BrainNews>,
    mut page: ResMut<MemoryPage>,
    locale: Res<Locale>,
) {
    for BrainNews(event) in news.read() {
        match event {
            BrainEvent::Recalled { turn, topic, answer, known, confidence } => {
                if let Some((asked, items)) = &mut page.asking
                    && asked == turn
                {
                    let (topic, answer) = (topic.clone(), answer.clone());
                    let (known, confidence) = (*known, *confidence);
                    items.push(Recollection { topic, answer, known, confidence });
                }
            }
            BrainEvent::RecallDone { turn } => {
                if let Some((_, items)) = page.asking.take_if(|(asked, _)| asked == turn) {
                    page.items = items;
                }
            }
            BrainEvent::Finished { .. } | BrainEvent::ReadDone { .. } => page.stale = true,
            BrainEvent::Ready { .. } => {
                *page = MemoryPage { stale: true, ..MemoryPage::default() };
            }
            BrainEvent::Saved { turn, path, .. } => {
                if let Some((_, key)) = page.awaited.take_if(|(awaited, _)| awaited == turn) {
                    let path = path.display().to_string();
                    page.outcome = Some((true, locale.with(key, [("path", path.into())])));
                    page.stale = true;
                }
            }
            BrainEvent::Slept { turn, .. } => {
                if let Some((_, key)) = page.awaited.take_if(|(awaited, _)| Some(*awaited) == *turn)
                {
                    page.outcome = Some((true, locale.text(key)));
                }
                page.stale = true;
            }
            BrainEvent::Failed { turn: Some(turn), text } => {
                let awaited = page.awaited.take_if(|(awaited, _)| awaited == turn).is_some();
                let asked = page.asking.take_if(|(asked, _)| asked == turn).is_some();
                if awaited || asked {
                    page.outcome = Some((false, text.clone()));
                }
            }
            _ => {}
        }
    }
}

fn show_memory(
    mut panel: PanelUi,
    locale: Res<Locale>,
    known: Res<KnownBrain>,
    talk: Res<Transcript>,
    link: Option<ResMut<BrainLink>>,
    mut page: ResMut<MemoryPage>,
) {
    let page = page.bypass_change_detection();
    let mut wishes = Vec::new();
    panel.page("memory", |ui| {
        if let Some((worked, text)) = &page.outcome {
            match worked {
                true => drop(crate::theme::widgets::caption(ui, text)),
                false => warning(ui, text),
            }
        }
        card(ui, |ui| recall::show(ui, &locale, page, &mut wishes));
        card(ui, |ui| {
            heart::show(ui, &locale, known.info.as_ref(), page.awaited.is_some(), &mut wishes)
        });
        card(ui, |ui| care::show(ui, &locale, &mut page.care, page.awaited.is_some(), &mut wishes));
    });
    let Some(mut link) = link else { return };
    // Asked by itself when the page opens or the talk went on, but never while a reply is coming.
    let outdated = page.stale || page.language != Some(locale.language());
    let ready = known.info.is_some() && talk.pending().is_none() && page.asking.is_none();
    if outdated && ready && page.correcting.is_none() {
        wishes.push(Wish::AskAgain);
    }
    for wish in wishes {
        fulfil(wish, page, &mut link, locale.language());
    }
}

fn fulfil(wish: Wish, page: &mut MemoryPage, link: &mut BrainLink, language: Language) {
    let turn = link.next_turn();
    match wish {
        Wish::AskAgain => {
            page.asking = Some((turn, Vec::new()));
            page.stale = false;
            page.language = Some(language);
            link.send(BrainRequest::Recall { turn, language });
        }
        Wish::Sleep => {
            page.awaited = Some((turn, "memory-slept"));
            link.send(BrainRequest::Sleep { turn });
        }
        Wish::Write(note) => {
            page.awaited = Some((turn, "memory-corrected"));
            link.send(BrainRequest::WriteNote { turn, note });
        }
        Wish::Forget(topic) => {
            page.awaited = Some((turn, "memory-forgotten"));
            link.send(BrainRequest::Forget { turn, topic });
        }
        Wish::Reset => {
            page.awaited = Some((turn, "memory-was-reset"));
            link.send(BrainRequest::Reset { turn });
        }
        Wish::Export(path) => {
            page.awaited = Some((turn, "memory-exported"));
            link.send(BrainRequest::Export { turn, path: path.into() });
        }
        Wish::Import(path) => {
            page.awaited = Some((turn, "memory-imported"));
            link.send(BrainRequest::Import { turn, path: path.into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory_app() -> App {
        let mut app = App::new();
        app.add_message::<BrainNews>()
            .init_resource::<MemoryPage>()
            .init_resource::<KnownBrain>()
            .insert_resource(Locale::new(Language::English))
            .add_systems(Update, (hear_figures, hear_answers));
        app
    }

    fn tell(app: &mut App, event: BrainEvent) {
        app.world_mut().write_message(BrainNews(event));
        app.update();
    }

    fn recalled(turn: TurnId) -> BrainEvent {
        BrainEvent::Recalled {
            turn,
            topic: "name".into(),
            answer: "Your name is Mia.".into(),
            known: true,
            confidence: 0.9,
        }
    }

    #[test]
    fn answers_of_the_running_round_replace_the_old_ones_at_its_end() {
        let mut app = memory_app();
        app.world_mut().resource_mut::<MemoryPage>().asking = Some((TurnId(4), Vec::new()));
        tell(&mut app, recalled(TurnId(3)));
        tell(&mut app, recalled(TurnId(4)));
        assert!(app.world().resource::<MemoryPage>().items.is_empty());
        tell(&mut app, BrainEvent::RecallDone { turn: TurnId(4) });
        assert_eq!(app.world().resource::<MemoryPage>().items.len(), 1);
    }

    #[test]
    fn a_talk_makes_the_answers_stale_and_a_failure_is_shown() {
        let mut app = memory_app();
        tell(
            &mut app,
            BrainEvent::Finished {
                turn: TurnId(1),
                reply: String::new(),
                stats: ReplyStats::default(),
            },
        );
        assert!(app.world().resource::<MemoryPage>().stale);
        app.world_mut().resource_mut::<MemoryPage>().awaited = Some((TurnId(2), "memory-exported"));
        tell(&mut app, BrainEvent::Failed { turn: Some(TurnId(2)), text: "disk full".into() });
        assert_eq!(app.world().resource::<MemoryPage>().outcome, Some((false, "disk full".into())));
    }
}
