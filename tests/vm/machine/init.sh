#!/bin/bash
# The guest's init: mounts what programs expect, runs /spfs/run.sh from the second disk, writes what that left in /results to the third
# disk as a tar archive, and switches off. What goes wrong is told on the console.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for folder in /dev/shm /run /tmp /results; do mount -t tmpfs -o mode=1777 tmpfs $folder; done
mount -t cgroup2 cgroup /sys/fs/cgroup
modprobe fuse
mount -t fusectl fusectl /sys/fs/fuse/connections
for link in fd:/proc/self/fd stdin:/proc/self/fd/0 stdout:/proc/self/fd/1 stderr:/proc/self/fd/2; do
	ln -sfn "${link#*:}" "/dev/${link%%:*}"
done
hostname guest
ip link set lo up
# Modules that programs cannot load by asking the kernel for something.
modprobe -a veth tun nfs nfsv3 nfsv4 nfsd unix_diag tcp_diag inet_diag udp_diag netlink_diag af_packet_diag
# Servers take no new locks in their first seconds.
echo 1 >/proc/sys/fs/nfs/nlm_grace_period
# Clients of NFS 3 have locks by these.
mkdir -p /run/rpcbind
rpcbind -w
rpc.statd --no-notify
mount -o ro /dev/vdb /spfs
echo "guest: starts the tests at $(cut -d' ' -f1 /proc/uptime) s"
bash /spfs/run.sh </dev/null
code=$?
echo "guest: tests ended with $code at $(cut -d' ' -f1 /proc/uptime) s"
if [ "$code" -ne 0 ]; then
	ps -eo pid,ppid,stat,wchan:32,args | grep -v '\]$' | tail -100
	dmesg | tail -100
fi
echo "$code" >/results/code
timeout 20 tar -cf /dev/vdc -C /results .
sync
echo "guest: switches off"
echo o >/proc/sysrq-trigger
# Not by a program: there may be no disk any more to load it from.
while :; do :; done
