#!/bin/sh
# The guest's first program: waits for the disk with the system, and starts init.sh from it.
box=/bin/busybox
$box mount -t devtmpfs dev /dev
$box mount -t proc proc /proc
for module in virtio_blk; do $box insmod /modules/$module.ko; done
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 500 ]; do
	$box usleep 20000
	tries=$((tries + 1))
done
$box mount -t ext4 -o rw,noatime /dev/vda /new || exec $box sh
$box mount --move /dev /new/dev
$box umount /proc
exec $box switch_root /new /sbin/guest-init
