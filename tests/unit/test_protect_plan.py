"""What would be changed on a machine like this one, and what is left alone, with the reason."""

import pytest
from protect_tree import GIB, Desktop

from steadyrun.model.machine import CgroupMode
from steadyrun.protect.facts import Layout, Whose
from steadyrun.protect.plan import MIN_TTL, TMPFILES, TTL_MS, plan, usual_profile
from steadyrun.protect.read import read_facts
from steadyrun.protect.shares import Profile, shares_of
from steadyrun.protect.wanted import wanted

ENV = {"HOME": "/home/desk", "XDG_RUNTIME_DIR": "/run/user/1000"}
SYSTEM, USER = "/etc/systemd/system", "/etc/systemd/user"


def planned(tree, *, euid=0, profile=None, **changes):
    return plan(read_facts(root=tree.root, env=ENV, euid=euid)._replace(**changes), profile)


def settings(made):
    """Return what is written, by path and key."""
    return {(f.path, line.key): line.value for f in made.files for line in f.lines}


def skips(made):
    return {each.what: each.why for each in made.skipped}


@pytest.fixture
def tree(tmp_path):
    return Desktop(tmp_path)


def test_the_machine_is_read_as_it_is(tree):
    facts = read_facts(root=tree.root, env=ENV, euid=0)
    assert (facts.booted, facts.version, facts.mode) == (True, 252, CgroupMode.UNIFIED)
    assert (facts.ram, facts.swap, facts.shm) == (16 * GIB, 0, 8 * GIB)
    assert facts.display_manager == "lightdm.service"
    assert [(d.user, d.session, d.layout) for d in facts.desktops] == [
        ("desk", "session-3.scope", Layout.SCOPE)
    ]
    assert [(r.what, r.pid, r.started, r.oom_score_adj) for r in facts.running] == [
        ("user manager of desk", 200, 2000, 100),
        ("bus of desk", 201, 2010, 200),
    ]
    assert facts.unit("sshd.service", Whose.SYSTEM).exists is False, "another name of ssh.service"


def test_the_systemd_of_a_rootless_container_is_none_of_ours(tree):
    inside = "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-1.scope/container"
    tree.member(400, "systemd", f"{inside}/init.scope", adj=200)
    tree.member(401, "dbus-daemon", f"{inside}/system.slice/dbus.service", adj=200)
    assert [r.pid for r in read_facts(root=tree.root, env=ENV, euid=0).running] == [200, 201]


def test_walls_stand_inside_each_other_at_every_place(tree):
    found = settings(planned(tree))
    shares = shares_of(16 * GIB, Profile.DESKTOP)
    walls = {path: value for (path, key), value in found.items() if key == "MemoryMax"}
    name = "10-steadyrun.conf"
    assert walls == {
        f"{SYSTEM}/user.slice.d/{name}": f"{shares.everybody}%",
        f"{SYSTEM}/user-.slice.d/{name}": f"{shares.person}%",
        f"{SYSTEM}/session-.scope.d/{name}": f"{shares.ordinary}%",
        f"{USER}/app.slice.d/{name}": f"{shares.ordinary}%",
        f"{SYSTEM}/steadyrun.slice.d/{name}": f"{shares.loads}%",
        f"{USER}/steadyrun.slice.d/{name}": f"{shares.loads}%",
    }
    assert not any(key == "MemoryHigh" for _, key in found), "a throttle limit without a watcher never ends"


def test_sshd_gets_no_oom_score_because_each_login_would_inherit_it(tree):
    found = settings(planned(tree))
    assert (f"{SYSTEM}/ssh.service.d/10-steadyrun.conf", "MemoryLow") in found
    scored = {path for path, key in found if key == "OOMScoreAdjust"}
    assert not any("ssh" in path or "lightdm" in path for path in scored)


def test_a_lower_score_of_the_user_manager_comes_with_the_default_of_its_children(tree):
    found = settings(planned(tree))
    assert found[(f"{SYSTEM}/user@.service.d/10-steadyrun.conf", "OOMScoreAdjust")] == "-100"
    assert found[("/etc/systemd/user.conf.d/10-steadyrun.conf", "DefaultOOMScoreAdjust")] == "200"
    assert {(v.path, v.now, v.value, v.process) for v in planned(tree).values} >= {
        ("/proc/200/oom_score_adj", "100", "-100", "200 2000"),
        ("/proc/201/oom_score_adj", "200", "-100", "201 2010"),
    }


@pytest.mark.parametrize(("now", "told"), [(-99, True), (-100, False), (-500, False), (None, False)])
def test_a_score_that_is_as_low_already_is_not_raised(tree, now, told):
    facts = read_facts(root=tree.root, env=ENV, euid=0)
    running = tuple(each._replace(oom_score_adj=now) for each in facts.running)
    values = plan(facts._replace(running=running)).values
    assert any("oom_score_adj" in value.path for value in values) is told


def test_systemd_before_250_gets_no_scores_at_all(tmp_path):
    made = planned(Desktop(tmp_path, version=247))
    assert not any("OOMScore" in key for _, key in settings(made))
    assert not any("oom_score_adj" in value.path for value in made.values)
    assert any("does not know it (since 250)" in why for why in skips(made).values())


@pytest.mark.parametrize(
    ("version", "key", "value"), [(247, "MemoryAccounting", "no"), (257, "OOMPolicy", "continue")]
)
def test_a_scope_outlives_the_kill_of_one_process_in_it(tmp_path, version, key, value):
    found = settings(planned(Desktop(tmp_path, version=version)))
    assert found[(f"{USER}/scope.d/10-steadyrun.conf", key)] == value
    logins = (f"{SYSTEM}/session-.scope.d/10-steadyrun.conf", "MemoryAccounting")
    assert (logins in found) is (version < 253), "from 253 on logind gives its scopes OOMPolicy=continue"


def test_a_server_has_no_desktop_to_protect(tree):
    found = settings(planned(tree, profile=Profile.SERVER))
    assert not any("session.slice" in path or "lightdm" in path for path, _ in found)
    assert (f"{SYSTEM}/user.slice.d/10-steadyrun.conf", "MemoryLow") not in found
    assert (f"{SYSTEM}/user.slice.d/10-steadyrun.conf", "MemoryMax") in found


def test_a_machine_without_a_screen_is_a_server(tree):
    assert planned(tree, display_manager=None, desktops=None).profile is Profile.SERVER
    assert planned(tree).profile is Profile.DESKTOP


def test_a_user_changes_their_own_folder_and_what_root_could_do_besides_is_said(tree):
    made = planned(tree, euid=1000)
    assert {f.path.rpartition("/systemd/user/")[0] for f in made.files} == {"/home/desk/.config"}
    keys = {key for _, key in settings(made)}
    assert "MemoryLow" not in keys, "without the slices above it would count for nothing"
    assert keys == {"CPUWeight", "MemoryMax", "MemoryAccounting"}
    assert made.values == ()
    found = {f.code: f for f in made.findings}
    assert found["user-alone"].remedy == "sudo steadyrun protect"
    assert "no wall of a user's own" in found["one-scope"].evidence


def test_weights_of_disks_only_where_a_disk_heeds_them(tree):
    assert not any(key == "IOWeight" for _, key in settings(planned(tree)))
    assert "disk-without-weights" in {f.code for f in planned(tree).findings}
    tree.file("sys/block/sda/size", "1000\n")
    tree.file("sys/block/sda/dev", "8:0\n")
    tree.file("sys/dev/block/8:0/queue/scheduler", "none [bfq]\n")
    assert settings(planned(tree))[(f"{SYSTEM}/lightdm.service.d/10-steadyrun.conf", "IOWeight")] == "500"


def test_io_is_delegated_where_there_is_such_a_controller(tree):
    key = (f"{SYSTEM}/user@.service.d/10-steadyrun.conf", "Delegate")
    assert settings(planned(tree))[key] == "pids memory cpu io"
    assert key not in settings(planned(tree, controllers=("cpu", "memory", "pids")))


@pytest.mark.parametrize(
    ("theirs", "ours"), [("yes", None), ("pids memory cpu io", None), ("cpuset cpu", "cpuset cpu io")]
)
def test_what_is_delegated_already_stays_delegated(tree, theirs, ours):
    tree.file("usr/lib/systemd/system/user@.service", f"[Service]\nDelegate={theirs}\n")
    key = (f"{SYSTEM}/user@.service.d/10-steadyrun.conf", "Delegate")
    assert settings(planned(tree)).get(key) == ours


def test_a_desktop_of_units_is_told_from_one_that_is_a_single_scope(tmp_path):
    scope, managed = Desktop(tmp_path / "a"), Desktop(tmp_path / "b", managed=True)
    assert "one-scope" in {f.code for f in planned(scope).findings}
    assert "one-scope" not in {f.code for f in planned(managed).findings}


def test_only_where_the_desktop_is_in_it_a_login_outweighs_what_is_started_apart(tmp_path):
    key = (f"{SYSTEM}/session-.scope.d/10-steadyrun.conf", "CPUWeight")
    weights = [settings(planned(Desktop(tmp_path / str(it), managed=it))).get(key) for it in (False, True)]
    assert weights == ["500", None]


def test_a_masked_unit_is_left_alone(tree):
    tree.link("etc/systemd/system/ssh.service", "/dev/null")
    made = planned(tree)
    assert not any("ssh.service" in path for path, _ in settings(made))
    assert "masked" in skips(made)["ssh.service"]


def test_a_unit_that_is_not_there_gets_no_folder(tree):
    assert not any("dbus-broker" in path for path, _ in settings(planned(tree)))


@pytest.mark.parametrize("theirs", ["50%", "4G", "85%"])
def test_a_stricter_limit_of_the_administrators_is_kept_and_said(tree, theirs):
    tree.file("etc/systemd/system/user.slice.d/override.conf", f"[Slice]\nMemoryMax={theirs}\n")
    made = planned(tree)
    assert (f"{SYSTEM}/user.slice.d/10-steadyrun.conf", "MemoryMax") not in settings(made)
    assert "override.conf" in skips(made)["user.slice: MemoryMax=92%"]


@pytest.mark.parametrize(
    ("file", "name"), [("override.conf", "zz-steadyrun.conf"), ("05-own.conf", "10-steadyrun.conf")]
)
def test_a_looser_limit_does_not_win_over_the_stricter_one(tree, file, name):
    tree.file(f"etc/systemd/system/user.slice.d/{file}", "[Slice]\nMemoryMax=99%\n")
    assert settings(planned(tree))[(f"{SYSTEM}/user.slice.d/{name}", "MemoryMax")] == "92%"
    assert name > file, "systemd takes the last one"


def test_a_limit_that_was_set_by_set_property_is_seen(tree):
    tree.file("etc/systemd/system.control/user.slice.d/50-MemoryMax.conf", "[Slice]\nMemoryMax=1073741824\n")
    assert any("system.control" in why for why in skips(planned(tree)).values())


def test_weights_and_scores_of_the_administrators_are_kept(tree):
    tree.file("etc/systemd/system/lightdm.service.d/own.conf", "[Service]\nCPUWeight=200\n")
    tree.file("etc/systemd/system/user@.service.d/own.conf", "[Service]\nOOMScoreAdjust=0\n")
    made = planned(tree)
    found = settings(made)
    assert (f"{SYSTEM}/lightdm.service.d/10-steadyrun.conf", "CPUWeight") not in found
    assert not any("OOMScore" in key for _, key in found), "the children's belong to the manager's"
    assert "yours, kept; the others belong to it" in skips(made)["user.conf: DefaultOOMScoreAdjust=200"]
    assert "belong" not in skips(made)["user@.service: OOMScoreAdjust=-100"]
    assert not any("oom_score_adj" in value.path for value in made.values)


def test_a_process_that_runs_keeps_the_score_that_its_administrator_gave_its_unit(tree):
    tree.file("etc/systemd/user/dbus.service.d/own.conf", "[Service]\nOOMScoreAdjust=150\n")
    made = planned(tree)
    assert "yours, kept" in skips(made)["dbus.service: OOMScoreAdjust=-100"]
    assert [v.path for v in made.values if "oom_score_adj" in v.path] == ["/proc/200/oom_score_adj"]


@pytest.mark.parametrize("euid", [0, 1000])
@pytest.mark.parametrize("profile", Profile)
def test_each_unit_that_is_wanted_was_looked_at(tree, euid, profile):
    facts = read_facts(root=tree.root, env=ENV, euid=euid)
    for want in wanted(facts, shares_of(16 * GIB, profile), profile):
        assert facts.unit(want.unit, want.whose) is not None, want.unit


def test_what_a_distribution_ships_is_no_administrators_will(tree):
    tree.file("usr/lib/systemd/system/ssh.service.d/10-vendor.conf", "[Service]\nCPUWeight=50\n")
    assert settings(planned(tree))[(f"{SYSTEM}/ssh.service.d/10-steadyrun.conf", "CPUWeight")] == "500"


def test_our_own_files_are_no_administrators_settings(tree):
    first = planned(tree)
    for each in first.files:
        tree.file(each.path.lstrip("/"), each.text)
    assert settings(planned(tree)) == settings(first)


def test_the_kernels_thrashing_prevention_is_set_now_and_at_each_boot(tree):
    made = planned(tree)
    (file,) = [f for f in made.files if f.path == TMPFILES]
    assert f"w {MIN_TTL} - - - - 1000\n" in file.text
    assert (MIN_TTL, "0", "1000") in [(v.path, v.now, v.value) for v in made.values]


@pytest.mark.parametrize(
    ("enabled", "now", "why"),
    [("0x0000", 0, "off"), ("0x0007", 5000, "somebody has chosen"), ("?", 0, "could not be read")],
)
def test_thrashing_prevention_that_is_off_or_chosen_is_left(tree, enabled, now, why):
    tree.file("sys/kernel/mm/lru_gen/enabled", enabled)
    tree.file("sys/kernel/mm/lru_gen/min_ttl_ms", f"{now}\n")
    made = planned(tree)
    assert TMPFILES not in {f.path for f in made.files}
    assert why in skips(made)[f"{MIN_TTL}: 1000"]


def test_other_guards_are_named_explained_and_never_touched(tree):
    for pid, name in ((300, "earlyoom"), (301, "systemd-oomd"), (302, "dockerd")):
        tree.process(pid, name, ticks=5)
    made = planned(tree)
    codes = {f.code for f in made.findings}
    assert {"found-earlyoom", "found-systemd-oomd", "container-engine"} <= codes
    assert not any("earlyoom" in f.path or "oomd" in f.path for f in made.files)
    assert settings(made)[(f"{USER}/session.slice.d/10-steadyrun.conf", "ManagedOOMPreference")] == "avoid"


def test_shared_memory_that_would_fill_a_wall_is_said(tree):
    mount = tree.text("proc/self/mountinfo")
    tree.file("proc/self/mountinfo", mount + "30 1 0:25 / /dev/shm rw - tmpfs tmpfs rw,size=13000000k\n")
    assert "shared-memory" in {f.code for f in planned(tree).findings}
    tree.file("proc/self/mountinfo", mount + "30 1 0:25 / /dev/shm rw - tmpfs tmpfs rw,size=1000000k\n")
    assert "shared-memory" not in {f.code for f in planned(tree).findings}


def test_a_wall_of_ours_does_not_shrink_the_memory_that_percentages_are_of(tree):
    tree.file("sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope/memory.max", f"{8 * GIB}\n")
    assert read_facts(root=tree.root, env=ENV, euid=0).ram == 16 * GIB
    tree.file("sys/fs/cgroup/memory.max", f"{8 * GIB}\n")
    assert read_facts(root=tree.root, env=ENV, euid=0).ram == 8 * GIB, "the limit of a container"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"booted": False}, "no systemd"),
        ({"mode": CgroupMode.HYBRID}, "hybrid"),
        ({"version": None}, "no answer"),
        ({"version": 241}, "found 241"),
        ({"controllers": ("cpu",)}, "memory controller"),
        ({"ram": None}, "/proc/meminfo"),
        ({"ram": GIB - 1}, "at least 1 GiB"),
    ],
)
def test_where_it_cannot_be_done_nothing_is_planned_and_there_is_something_else_to_do(tree, changes, word):
    made = planned(tree, **changes)
    assert word in made.obstacle
    assert made.remedy
    assert (made.files, made.values) == ((), ())


def test_every_line_says_why_and_where_it_is_described(tree):
    for each in planned(tree).files:
        for line in each.lines:
            assert line.why
            assert line.source
            words = " ".join(each.text.replace("\n# ", " ").split())
            assert f"{line.why} [{line.source}]" in words, "the same words are in the file"


def test_a_desktop_that_no_display_manager_started_is_one(tree):
    facts = read_facts(root=tree.root, env={}, euid=0)
    assert facts.desktops
    assert usual_profile(facts._replace(display_manager=None)) is Profile.DESKTOP
    assert usual_profile(facts._replace(display_manager=None, desktops=())) is Profile.SERVER


def test_a_kernel_value_that_is_right_already_is_not_written(tree):
    facts = read_facts(root=tree.root, env={}, euid=0)
    assert MIN_TTL in {each.path for each in plan(facts).values}
    right = facts._replace(mglru=facts.mglru._replace(min_ttl_ms=TTL_MS))
    assert MIN_TTL not in {each.path for each in plan(right).values}
