# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the machine's scripts share: where things are kept, and Debian packages without installing
# them. Packages are fetched by an apt with sources, lists and cache of its own, so that neither
# root nor a change to this computer's /etc/apt is needed, and unpacked with dpkg-deb.

# What other programs print is read here, and what is written here others read, whatever the user's
# language and habits are. Debian's users do not have /usr/sbin (modinfo, chroot) in their PATH.
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${BUILD:-$top/build}
cache=${DUNE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dune}

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "${0##*/}: $*"
	exit 125
}

# Kernel version -> the Debian release whose packages, or backports, have it. VERSION is the kernel
# for virtual machines, VERSION-generic the one for real ones, 6.1-debug what build-debug-kernel makes.
kernel_versions='6.1, 6.12, 7.2, 7.3, the same with -generic, 6.1-debug'
kernel_release() {
	case $1 in
	6.1 | 6.12 | 6.1-generic | 6.12-generic | 6.1-debug) echo bookworm ;;
	7.2 | 7.2-generic | 7.3 | 7.3-generic) echo trixie ;;
	*) return 1 ;;
	esac
}

# The mirror this computer uses, else Debian's own. Others have archives for Debian, with addresses that
# end alike: what apt has read of each tells whose it is.
mirror() {
	local found
	found=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' |
		sed -n "s|^Debian \(https\?://.*/$1\)/*\$|\1|p" | sort -u)
	found=${found%%$'\n'*}
	echo "${found:-http://deb.debian.org/$1}"
}

# private_apt RELEASE COMMAND...: apt-get or apt-cache with this project's own state. The lists
# are read once; `refresh_apt` reads them anew.
private_apt() {
	local state=$cache/apt/$1
	shift
	APT_CONFIG=$state/apt.conf "$@"
}

prepare_apt() (
	release=$1 state=$cache/apt/$1 keys=/usr/share/keyrings/debian-archive-keyring.gpg
	[ ! -e "$state/ready" ] || exit 0
	with_lock "apt-$release"
	[ ! -e "$state/ready" ] || exit 0
	rm -rf "$state"
	mkdir -p "$state"/{lists/partial,archives/partial,etc/apt.conf.d,etc/preferences.d}
	: >"$state/status"
	cat >"$state/etc/sources.list" <<-END
		deb [signed-by=$keys] $(mirror debian) $release main
		deb [signed-by=$keys] $(mirror debian) $release-backports main
		deb [signed-by=$keys] $(mirror debian-security) $release-security main
	END
	# This computer's way to the network (Proxy and its like) is ours, too.
	apt-config dump Acquire::http >"$state/apt.conf"
	apt-config dump Acquire::https >>"$state/apt.conf"
	cat >>"$state/apt.conf" <<-END
		Dir::State "$state";
		Dir::State::status "$state/status";
		Dir::Cache "$state";
		Dir::Etc "$state/etc";
		Acquire::Languages "none";
		Acquire::GzipIndexes "true";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "";
		Acquire::Retries "3";
		Acquire::http::Timeout "60";
		Acquire::https::Timeout "60";
		Debug::NoLocking "true";
	END
	refresh_apt "$release"
	touch "$state/ready"
)

refresh_apt() {
	local log
	log=$(mktemp)
	# By itself apt takes lists that it could not fetch for a warning.
	if ! private_apt "$1" apt-get -q -o APT::Update::Error-Mode=any update >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		die "could not read the package lists of Debian $1: is there a network?"
	fi
	rm -f "$log"
}

# fetch_packages RELEASE COMMAND...: a call of apt-get that downloads. A mirror drops versions that were
# replaced: if it fails, once more with the current package lists. In the caller's directory.
fetch_packages() (
	release=$1
	shift
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	private_apt "$release" "$@" >"$log" 2>&1 || {
		refresh_apt "$release"
		private_apt "$release" "$@" >"$log" 2>&1
	} || {
		cat "$log" >&2
		die "could not fetch from Debian $release: $*"
	}
)

# unpack_packages RELEASE DIRECTORY PACKAGE[=VERSION|/SUITE]...
unpack_packages() {
	local release=$1 directory=$2 download
	shift 2
	mkdir -p "$directory"
	download=$(mktemp -d "$cache/download.XXXXXX")
	(cd "$download" && fetch_packages "$release" apt-get -q download "$@") || {
		rm -rf "$download"
		exit 125
	}
	local package
	for package in "$download"/*.deb; do
		dpkg-deb -x "$package" "$directory"
	done
	rm -rf "$download"
}

# make_tree RELEASE DIRECTORY PACKAGE...: packages of another Debian with all that they depend on, in a
# directory of the cache. They are unpacked and not configured: a root for programs, not a system.
make_tree() (
	release=$1 tree=$2
	shift 2
	[ ! -e "$tree/ready" ] || exit 0
	with_lock "tree-$release" # which shares apt's archives
	[ ! -e "$tree/ready" ] || exit 0
	say "Fetching $1 of Debian $release, and what it needs, into $tree"
	prepare_apt "$release"
	rm -rf "$tree"
	mkdir -p "$tree"
	# apt finds out what belongs to it, as if onto an empty system.
	private_apt "$release" apt-get -q clean
	fetch_packages "$release" apt-get -q -y install --download-only --no-install-recommends "$@"
	# base-files first: it has the links from /bin and /lib into /usr.
	for package in "$cache/apt/$release"/archives/base-files_*.deb "$cache/apt/$release"/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$package" | tar -x -C "$tree" --keep-directory-symlink
	done
	private_apt "$release" apt-get -q clean
	rm -rf "$tree"/usr/share/{doc,man,info,locale}
	touch "$tree/ready"
)

# with_lock NAME: one at a time prepares a shared thing; the lock lasts until the script ends.
with_lock() {
	mkdir -p "$cache"
	exec {lock}>"$cache/$1.lock"
	flock "$lock"
}
