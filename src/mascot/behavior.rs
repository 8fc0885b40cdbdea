//! What the figure does: a lasting state below, and short acts over it. Every act ends by itself.

/// What the figure is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Behavior {
    /// Nothing in particular.
    #[default]
    Idle,
    /// The person is writing.
    Listen,
    /// The brain is at work.
    Think,
    /// Letters appear.
    Talk,
    /// Nods off: the way to sleep.
    Doze,
    /// Asleep.
    Sleep,
    /// Stroked on the head or a cheek.
    Petted,
    /// Tickled on the belly, a hand or the tail.
    Tickled,
    /// Clicked at.
    Poked,
    /// In the person's hand.
    Held,
    /// Just put down.
    Landing,
    /// Greets.
    Wave,
    /// Jumps for joy.
    Celebrate,
    /// Something came back to it, or was learned.
    Remember,
    /// Woken or surprised.
    Startled,
    /// Holds up the little sign: something went wrong.
    Trouble,
    /// Idle acts.
    Yawn,
    /// Idle acts.
    Hum,
    /// Idle acts.
    Stretch,
}

impl Behavior {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Idle,
        Self::Listen,
        Self::Think,
        Self::Talk,
        Self::Doze,
        Self::Sleep,
        Self::Petted,
        Self::Tickled,
        Self::Poked,
        Self::Held,
        Self::Landing,
        Self::Wave,
        Self::Celebrate,
        Self::Remember,
        Self::Startled,
        Self::Trouble,
        Self::Yawn,
        Self::Hum,
        Self::Stretch,
    ];

    /// Lies below the short acts.
    pub fn is_lasting(self) -> bool {
        matches!(
            self,
            Self::Idle | Self::Listen | Self::Think | Self::Talk | Self::Doze | Self::Sleep
        )
    }

    /// Seconds until it ends by itself; none: only something else ends it.
    pub fn lasts(self) -> Option<f32> {
        match self {
            Self::Idle | Self::Sleep | Self::Held => None,
            Self::Listen => Some(25.0),
            Self::Think | Self::Talk => Some(120.0),
            Self::Doze => Some(20.0),
            Self::Petted | Self::Tickled => Some(1.8),
            Self::Poked => Some(0.7),
            Self::Landing => Some(0.8),
            Self::Wave => Some(2.0),
            Self::Celebrate => Some(2.2),
            Self::Remember => Some(2.4),
            Self::Startled => Some(0.9),
            Self::Trouble => Some(12.0),
            Self::Yawn => Some(2.2),
            Self::Hum => Some(4.0),
            Self::Stretch => Some(1.8),
        }
    }

    /// What follows when a lasting state runs out.
    pub fn after(self) -> Self {
        if self == Self::Doze { Self::Sleep } else { Self::Idle }
    }

    /// An act gives way only to acts of at least its rank.
    pub fn rank(self) -> u8 {
        match self {
            Self::Held => 5,
            Self::Landing | Self::Startled => 4,
            Self::Trouble => 3,
            Self::Petted | Self::Tickled | Self::Wave | Self::Celebrate | Self::Remember => 2,
            Self::Poked => 1,
            _ => 0,
        }
    }
}

/// The state and the act over it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Doing {
    base: Behavior,
    base_for: f32,
    act: Option<(Behavior, f32)>,
}

impl Doing {
    /// What is seen.
    pub fn behavior(&self) -> Behavior {
        self.act.map_or(self.base, |(b, _)| b)
    }

    /// Seconds since it began.
    pub fn since(&self) -> f32 {
        self.act.map_or(self.base_for, |(_, t)| t)
    }

    /// The lasting state.
    pub fn base(&self) -> Behavior {
        self.base
    }

    /// Begins something; true if it is what is seen now and was not before.
    pub fn begin(&mut self, wanted: Behavior) -> bool {
        let before = self.behavior();
        if wanted.is_lasting() {
            if self.base != wanted {
                self.base = wanted;
                self.base_for = 0.0;
            }
        } else {
            match &mut self.act {
                // Stroking on goes on.
                Some((now, t)) if *now == wanted => *t = t.min(0.4),
                Some((now, _)) if now.rank() > wanted.rank() => {}
                act => *act = Some((wanted, 0.0)),
            }
        }
        before != self.behavior() && self.behavior() == wanted
    }

    /// Ends the act that is going on, if it is this one.
    pub fn end(&mut self, done: Behavior) {
        if self.act.is_some_and(|(b, _)| b == done) {
            self.act = None;
        }
    }

    /// Lets `dt` seconds pass.
    pub fn pass(&mut self, dt: f32) {
        self.base_for += dt;
        if let Some((b, t)) = &mut self.act {
            *t += dt;
            if b.lasts().is_some_and(|end| *t > end) {
                self.act = None;
            }
        }
        if self.base.lasts().is_some_and(|end| self.base_for > end) {
            self.base = self.base.after();
            self.base_for = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_ends_and_every_state_comes_to_rest() {
        for b in Behavior::ALL {
            let mut doing = Doing::default();
            doing.begin(b);
            assert_eq!(doing.behavior(), b);
            doing.end(Behavior::Held);
            for _ in 0..1300 {
                doing.pass(0.1);
            }
            assert!(matches!(doing.behavior(), Behavior::Idle | Behavior::Sleep), "{b:?}");
        }
    }

    #[test]
    fn it_talks_on_after_it_was_put_down() {
        let mut doing = Doing::default();
        doing.begin(Behavior::Held);
        assert!(!doing.begin(Behavior::Talk));
        assert!(!doing.begin(Behavior::Wave), "a hand holds it");
        assert_eq!(doing.behavior(), Behavior::Held);
        doing.end(Behavior::Held);
        doing.begin(Behavior::Landing);
        doing.pass(1.0);
        assert_eq!(doing.behavior(), Behavior::Talk);
    }
}
