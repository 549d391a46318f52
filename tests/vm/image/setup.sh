#!/bin/sh
# Runs inside the new system (chroot) after the packages and the overlay are there.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

useradd --create-home --shell /bin/bash --uid 1000 desk
useradd --create-home --shell /bin/bash --uid 1001 other
chmod 755 /usr/local/lib/testbed/desktop /usr/local/lib/testbed/terminal
chown -R root:root /usr/local/lib/testbed /etc/ssh /etc/lightdm
chown -R root:root /etc/sudoers.d
chmod 440 /etc/sudoers.d/testbed
chmod 644 /etc/ssh/testbed_authorized_keys

systemctl enable systemd-networkd.service ssh.service lightdm.service testbed-keys.slice
systemctl set-default graphical.target
# Stored, so that the next boot has the log of the one before.
mkdir -p /var/log/journal

# Side by side is a test of its own; drop-ins pull systemd-oomd in although it is disabled, so it is masked.
systemctl disable earlyoom.service nohang.service nohang-desktop.service 2>/dev/null || true
systemctl mask systemd-oomd.service systemd-oomd.socket earlyoom.service nohang.service nohang-desktop.service
# Noise.
for unit in apt-daily.timer apt-daily-upgrade.timer fstrim.timer man-db.timer e2scrub_all.timer \
  e2scrub_reap.service dpkg-db-backup.timer logrotate.timer systemd-networkd-wait-online.service \
  systemd-timesyncd.service; do
  systemctl mask "$unit"
done

python3 -m venv /opt/steadyrun
/opt/steadyrun/bin/pip install --quiet --no-index --find-links /opt/wheels --require-hashes \
  --no-deps -r /opt/wheels/locked.txt
/opt/steadyrun/bin/pip check
ln -s /opt/steadyrun/bin/steadyrun /usr/local/bin/steadyrun

rm -rf /opt/wheels /var/cache/apt/archives/*.deb /var/lib/apt/lists/*
