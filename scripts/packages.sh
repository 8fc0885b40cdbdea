# Sourced by scripts/run and scripts/test: makes sure that the system libraries of the window are there.
#
# On Debian and its relatives missing packages are installed (as root, or through sudo where it asks nothing).
# Elsewhere, or without the right to install, they are named and the script goes on: the build will tell.

companion_packages="build-essential pkg-config libwayland-dev libxkbcommon-dev libxkbcommon-x11-0 libx11-dev libxcursor1 libxi6 libxrandr2 mesa-vulkan-drivers libvulkan1"

# missing_packages NAMES...: prints the names that dpkg does not know as installed.
missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
    done
}

# install_packages NAMES...: installs what is missing; returns 1 with a message where it cannot.
install_packages() {
    case "$(uname -s)" in
    Linux) ;;
    *) return 0 ;; # macOS and Windows bring what the window needs.
    esac
    if ! command -v dpkg-query >/dev/null; then
        echo "note: this is not a Debian system; if the build or the window fails, install the equivalents of:" >&2
        echo "      $*" >&2
        echo "      Fedora: gcc pkgconf wayland-devel libxkbcommon-devel libxkbcommon-x11 libX11-devel mesa-vulkan-drivers vulkan-loader" >&2
        echo "      Arch:   base-devel pkgconf wayland libxkbcommon libxkbcommon-x11 libx11 vulkan-icd-loader vulkan-swrast" >&2
        return 0
    fi
    missing=$(missing_packages "$@")
    [ -z "$missing" ] && return 0
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root="sudo"
    else
        echo "missing system packages; please run: sudo apt-get install $missing" >&2
        return 1
    fi
    echo "installing system packages: $missing" >&2
    # shellcheck disable=SC2086 # lists of words on purpose
    $as_root env DEBIAN_FRONTEND=noninteractive sh -c "apt-get update -q && apt-get install -y -q --no-install-recommends $missing" >&2 || {
        echo "the packages could not be installed; please run: sudo apt-get install $missing" >&2
        return 1
    }
}

# need_cargo: ends with a sentence where the Rust toolchain is missing.
need_cargo() {
    command -v cargo >/dev/null && return 0
    [ -r "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
    command -v cargo >/dev/null || {
        echo "the Rust toolchain is missing: install it from https://rustup.rs and start again" >&2
        exit 1
    }
}
