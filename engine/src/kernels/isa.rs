//! Which instruction set the kernels use: detected once, or forced.
//!
//! The environment variable `COMPANION_ISA` (`scalar`, `avx2`, `avx512`, `neon`) forces one, for tests and for finding
//! faults. A name that is unknown or that this processor lacks is logged and the detected set is used.

use std::sync::OnceLock;

/// An instruction set that kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust, on every processor.
    Scalar,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW and VNNI.
    Avx512,
    /// AArch64 with NEON.
    Neon,
}

/// Name of the environment variable that forces an instruction set.
pub const ISA_VARIABLE: &str = "COMPANION_ISA";

impl Isa {
    /// All names, slowest first.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512];

    /// Lower-case name, as the environment variable has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
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
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[allow(unreachable_patterns, reason = "what is left differs by architecture")]
            _ => false,
        }
    }

    /// The sets that this processor has, slowest first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The fastest set that this processor has.
    pub fn detect() -> Self {
        Self::available().last().copied().unwrap_or(Self::Scalar)
    }

    /// Reads a name and checks that the processor has it.
    ///
    /// # Errors
    /// A sentence with the name and the names that would do.
    pub fn parse(name: &str) -> Result<Self, String> {
        let usable =
            || Self::available().iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
        let isa = Self::ALL.into_iter().find(|isa| isa.name() == name);
        match isa {
            None => {
                Err(format!("unknown instruction set {name:?}, this processor has {}", usable()))
            }
            Some(isa) if !isa.is_available() => {
                Err(format!("this processor lacks {name}, it has {}", usable()))
            }
            Some(isa) => Ok(isa),
        }
    }

    /// The set in use: the forced one, else the fastest. Decided on the first call.
    pub fn active() -> Self {
        static ACTIVE: OnceLock<Isa> = OnceLock::new();
        *ACTIVE.get_or_init(|| match std::env::var(ISA_VARIABLE) {
            Ok(name) => Self::parse(name.trim()).unwrap_or_else(|reason| {
                let isa = Self::detect();
                tracing::warn!("{ISA_VARIABLE}: {reason}; using {}", isa.name());
                isa
            }),
            Err(_) => Self::detect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_wrong_ones_explained() {
        assert_eq!(Isa::parse("scalar"), Ok(Isa::Scalar));
        let error = Isa::parse("mmx").expect_err("unknown");
        assert!(error.contains("mmx") && error.contains("scalar"), "{error}");
        let missing = if cfg!(target_arch = "x86_64") { "neon" } else { "avx2" };
        assert!(Isa::parse(missing).expect_err("missing").contains("lacks"));
        assert!(Isa::detect().is_available());
    }
}
