# Sourced by scripts/run and scripts/test: installs the system packages that a build of the companion needs.
#
# Debian and Ubuntu: installs what is missing when run by root or with sudo.
# Other systems: names the packages and goes on. Nothing is downloaded when everything is there.
# shellcheck shell=bash

# What the window needs, by Debian name. mesa-vulkan-drivers brings a Vulkan driver, a software one included.
companion_packages=(
    pkg-config libwayland-dev libxkbcommon-dev libxkbcommon-x11-0 libvulkan1 mesa-vulkan-drivers
)

# A C compiler: zstd and mimalloc are C code. Skipped when some `cc` is there.
command -v cc >/dev/null 2>&1 || companion_packages+=(build-essential)

# Prints those of the given Debian packages that are not installed, one a line.
missing_packages() {
    local name
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done
}

# Installs what is missing of the given Debian packages; says so and goes on where it cannot.
install_packages() {
    case "$(uname -s)" in
        Linux) ;;
        *) return 0 ;; # Windows and macOS need no extra packages
    esac
    if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
        echo "packages: this system has no apt. If the build misses a library, install:"
        echo "  Fedora: sudo dnf install gcc pkgconf-pkg-config wayland-devel libxkbcommon-devel libxkbcommon-x11 vulkan-loader mesa-vulkan-drivers xorg-x11-server-Xvfb xorg-x11-xauth"
        echo "  Arch:   sudo pacman -S --needed base-devel pkgconf wayland libxkbcommon libxkbcommon-x11 vulkan-icd-loader vulkan-swrast xorg-server-xvfb xorg-xauth"
        echo "  (Fedora and Arch are untested.)"
        return 0
    fi
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0

    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "packages: missing and neither root nor sudo here. Ask an administrator for:"
            echo "  apt-get install ${missing[*]}"
            return 0
        fi
        as_root=(sudo)
    fi
    echo "packages: installing ${missing[*]}"
    if ! { "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }; then
        echo "packages: could not install ${missing[*]}; going on without" >&2
    fi
}

# Cargo from rustup may not be on PATH in a shell that is not a login shell.
find_cargo() {
    if ! command -v cargo >/dev/null 2>&1 && [ -f "${CARGO_HOME:-$HOME/.cargo}/env" ]; then
        # shellcheck source=/dev/null
        . "${CARGO_HOME:-$HOME/.cargo}/env"
    fi
    if ! command -v cargo >/dev/null 2>&1; then
        echo "cargo is missing: install the Rust toolchain from https://rustup.rs, then call this again." >&2
        return 1
    fi
}
