#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs in the virtual machine that tests/kernels/run boots, and prints a line for each of its claims: tests
# that break the kernel's modules, settings or clock, which no other machine may be used for.

start() {
	rm -f err.txt out.txt out.json
	: >err.txt
	"$@" >out.txt 2>err.txt &
	run=$!
	until grep -q '^probe: watching' err.txt; do
		kill -0 $run 2>/dev/null || return 1
		sleep 0.1
	done
	probe=$(pidof probe)
}

stop() {
	kill -INT "$probe"
	wait $run
	ended=$?
}

# Waits until the probe has printed it, with a time limit.
await() {
	tries=0
	until grep -q "$1" err.txt; do
		sleep 0.1
		tries=$((tries + 1))
		[ $tries -lt 300 ] || break
	done
}

right() {
	sed -n "s/^$1:\t0*\(.\)/\1/p" "/proc/$probe/status"
}

# The run must report an unanswered SYN at its end: missing capabilities could prevent the
# settlement.
try() {
	name=$1
	shift
	if ! start "$@" --force --json=out.json; then
		echo "$name: $(head -n 1 err.txt)"
		return
	fi
	nc -w 1 10.1.4.99 80
	rights=$(right CapPrm)-$(right CapEff)-$(right NoNewPrivs)
	stop
	echo "$name: status $ended, rights $rights, settled $(grep -c '"settled_by":"end"' out.json)," \
		"left $(tc qdisc show dev lan0 | grep -c clsact)"
}

as_nobody() {
	rights=$1
	shift
	exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps="-all,$rights" \
		--ambient-caps="-all,$rights" --bounding-set="-all,$rights" probe -i lan0 "$@"
}

ip netns add client
ip link add lan0 type veth peer name eth0 netns client
ip addr add 10.1.4.1/24 dev lan0
ip link set lan0 up
ip -n client addr add 10.1.4.23/24 dev eth0
ip -n client link set eth0 up
ip neigh replace 10.1.4.99 lladdr 02:00:0a:01:04:63 dev lan0
chmod 777 .

# Test this before anything has loaded the modules.
for module in sch_ingress cls_bpf; do
	file=$(find /lib/modules/ -name $module.ko)
	mv "$file" /tmp
	rmmod cls_bpf sch_ingress 2>/dev/null
	echo "without $module: $(probe -i lan0 -d 1 -q --hook clsact 2>&1 >/dev/null | head -n 1)," \
		"left $(tc qdisc show dev lan0 | grep -c clsact)"
	mv /tmp/$module.ko "$file"
done

start probe -i lan0
echo "first line: $(head -n 1 err.txt)"
stop

mount -t tmpfs none /sys/kernel/btf
try "BTF out of sight" probe -i lan0
umount /sys/kernel/btf

for setting in 2 0 1; do # 1 is permanent
	echo $setting >/proc/sys/kernel/unprivileged_bpf_disabled
	try "default hook, unprivileged_bpf_disabled $setting" probe -i lan0
	try "clsact, unprivileged_bpf_disabled $setting" probe -i lan0 --hook clsact
done
try "tcx" probe -i lan0 --hook tcx
try "nobody" as_nobody +bpf,+net_admin,+perfmon
try "nobody who may lock memory" as_nobody +bpf,+net_admin,+perfmon,+sys_resource
try "nobody without CAP_PERFMON" as_nobody +bpf,+net_admin

# Set the clock a day ahead and two days back while a client waits.
start probe -i lan0 --force --json=out.json
{ sleep 9; echo answer; } | nc -l -p 86 >/dev/null &
until grep -q ':0056 ' /proc/net/tcp /proc/net/tcp6; do sleep 0.1; done # it listens
ip netns exec client sh -c '{ sleep 4; echo request; sleep 2; } | nc -w 9 10.1.4.1 86' &
client=$!
sleep 2
date -s "@$(($(date +%s) + 86400))" >/dev/null
sleep 1
date -s "@$(($(date +%s) - 172800))" >/dev/null
wait $client
stop
sed -n 's/.*"type":"connection".*"server_port":86,.*"wait":\([0-9]*\)[0-9]\{9\},.*/clock set: waited \1 s/p' out.json
sed -n 's/.*"type":"summary",.*"duration":\([0-9]*\)[0-9]\{9\},"connections".*/clock set: ran \1 s/p' out.json

# Suspend to memory; the alarm of the machine's clock wakes it.
start probe -i lan0 --force --json=out.json
began=$(date +%s)
echo 0 >/sys/class/rtc/rtc0/wakealarm
echo +20 >/sys/class/rtc/rtc0/wakealarm
echo mem >/sys/power/state
took=$(($(date +%s) - began))
await suspended
stop
grep suspended err.txt
ran=$(sed -n 's/.*"type":"summary",.*"duration":\([0-9]*\),"connections".*/\1/p' out.json)
echo "suspended: away $took s, ran $ran ns"
[ "${took}000000000" -gt "$ran" ] && echo "suspended: the run is shorter than the absence"

# Delete the interface and make it again, after the capabilities are dropped.
start probe -i lan0 --follow --force --json=out.json
ip link del lan0
await waiting
ip link add lan0 address 02:00:0a:01:04:01 type veth peer eth0 netns client
await 'is back'
stop
echo "follow: status $ended, $(grep -o 'lan0 is back' err.txt)"
ip addr add 10.1.4.1/24 dev lan0
ip link set lan0 up
ip -n client link set eth0 up
ip neigh replace 10.1.4.99 lladdr 02:00:0a:01:04:63 dev lan0

mount -t securityfs security /sys/kernel/security
echo confidentiality >/sys/kernel/security/lockdown
try "lockdown $(sed 's/.*\[\(.*\)\].*/\1/' /sys/kernel/security/lockdown)" probe -i lan0
