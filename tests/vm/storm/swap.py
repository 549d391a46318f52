"""What the guest has beside its memory, chosen before the load: nothing, a swap file, zram."""

from __future__ import annotations

SWAPS = {
    "none": "",
    # ext4 gives a swap file that was only allocated (swapon(8), "Files with holes").
    "file": "fallocate -l 2G /swapfile && chmod 600 /swapfile && mkswap /swapfile >/dev/null"
    " && swapon /swapfile",
    # As large as the memory and before any other swap, as distributions set it up.
    "zram": "modprobe zram && echo 1950M > /sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null"
    " && swapon -p 100 /dev/zram0",
}
"""Shell commands for root in the guest, by the variant's name."""
