//! Which instruction set runs the integer kernels: detected once, or forced by `COMPANION_ISA`.

use std::sync::OnceLock;

/// An instruction set with kernels of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Portable; the reference.
    Scalar,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 with VNNI (`avx512f`, `avx512bw`, `avx512vnni`).
    Avx512Vnni,
}

impl Isa {
    /// All, slowest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512Vnni];

    /// Name as in `COMPANION_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512Vnni => "avx512vnni",
        }
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("fma")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The fastest that this processor has, or the one that `COMPANION_ISA` names if it can run. Chosen once.
    pub fn active() -> Self {
        static ACTIVE: OnceLock<Isa> = OnceLock::new();
        *ACTIVE.get_or_init(|| {
            let best =
                Self::ALL.into_iter().rev().find(|i| i.is_available()).unwrap_or(Self::Scalar);
            let Ok(wanted) = std::env::var("COMPANION_ISA") else { return best };
            match Self::ALL.into_iter().find(|i| i.name() == wanted) {
                Some(isa) if isa.is_available() => isa,
                Some(isa) => {
                    tracing::warn!(
                        "COMPANION_ISA={}: this processor does not have it; using {}",
                        isa.name(),
                        best.name()
                    );
                    best
                }
                None => {
                    tracing::warn!(
                        "COMPANION_ISA={wanted}: not one of scalar, avx2, avx512vnni; using {}",
                        best.name()
                    );
                    best
                }
            }
        })
    }
}
