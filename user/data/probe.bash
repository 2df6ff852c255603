# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# bash completion of probe(8). To try it: . user/data/probe.bash

# Adds the names in a directory to words: interfaces, network namespaces.
_probe_names() {
	local path
	for path in "$1"/*; do
		[[ ! -e $path ]] || words+=("${path##*/}")
	done
}

_probe() {
	local options=(--iface --read --netns --follow --follow-peers --client --server --port --dns-port
		--list-interfaces --doctor --duration --count --stall --exit-code --json= --html --write --force
		--snap --names --numeric --quiet --verbose --hook --max-flows --ring-size --cleanup --help --version)
	local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=() word

	# readline splits --hook=tcx into three words: --hook = tcx
	if [[ $cur == = ]]; then
		cur=''
	elif [[ $before == = ]] && ((COMP_CWORD > 2)); then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $before == --json ]]; then
		before='' # takes its FILE only after =
	fi

	COMPREPLY=()
	case $before in
	-i | --iface | --doctor) _probe_names /sys/class/net ;;
	-N | --netns) _probe_names /run/netns ;;
	-r | --read | -w | --write | --html | --json)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-H | --hook) words=(tcx clsact) ;;
	--names) words=(none evidence all) ;;
	-p | --port) words=(22 25 80 443 https '80,443') ;;
	--dns-port) words=(53 '53,5353') ;;
	-d | --duration) words=(60 10m 1h 8h) ;;
	-c | --count) words=(100 1000 10000) ;;
	-s | --stall) words=(200ms 0.5 1 2 5) ;;
	--snap) words=(96 256 1500) ;;
	--max-flows) words=(120000 500000 1000000) ;;
	--ring-size) words=(8 16 32 64) ;;
	--client | -S | --server) ;; # a network: nothing to suggest
	*)
		words=("${options[@]}")
		# a capture may be followed by a filter of pcap-filter(7)
		if [[ $cur != -* && " ${COMP_WORDS[*]:1:COMP_CWORD-1}" =~ \ (-r|--read)[\ =] ]]; then
			words=(host net port portrange src dst tcp and or not)
		fi
		;;
	esac

	# compgen -W would expand an interface's name, and $(reboot) is a valid one
	for word in ${words[@]+"${words[@]}"}; do
		[[ $word == "$cur"* ]] || continue
		[[ $word != *[!A-Za-z0-9_.,:=@-]* ]] || printf -v word '%q' "$word"
		COMPREPLY+=("$word")
	done
	[[ ${COMPREPLY[*]} != --json= ]] || compopt -o nospace 2>/dev/null
}

complete -F _probe probe
