package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"prefork/master"
)

func load(t *testing.T, environ []string, flags layer, command ...string) (master.Config, *loader) {
	t.Helper()
	l := newLoader(flags, environ, command)
	c, err := l.load()
	if err != nil {
		t.Fatal(err)
	}
	return c, l
}

func TestFlagBeatsVariableBeatsFileBeatsDefault(t *testing.T) {
	path := write(t, "command = [\"app\"]\nworkers = 2\n")
	flags := layer{"config": {{path, "--config"}}}
	for _, step := range []struct {
		workers int
		where   string
		give    func() []string
	}{
		{2, path + ":2", func() []string { return nil }},
		{3, "PREFORK_RUN_WORKERS", func() []string { return []string{"PREFORK_RUN_WORKERS=3"} }},
		{4, "--workers", func() []string {
			flags["workers"] = []entry{{"4", "--workers"}}
			return []string{"PREFORK_RUN_WORKERS=3"}
		}},
	} {
		environ := step.give()
		text := "" // of the file is news only where the file decides
		if step.workers == 2 {
			text = "2"
		}
		c, _ := load(t, environ, flags)
		if c.Workers != step.workers || c.Where["workers"] != step.where || c.WorkersText != text {
			t.Errorf("workers %d from %s (text in the file %q), want %d from %s", c.Workers, c.Where["workers"], c.WorkersText, step.workers, step.where)
		}
	}
	c, _ := load(t, nil, layer{}, "app")
	if c.Workers != availableCPUs() || c.WorkersText != "" || c.Where["workers"] != "" {
		t.Errorf("by default: %d workers, from %q", c.Workers, c.Where["workers"])
	}
}

func TestReloadReadsTheFileAloneAnew(t *testing.T) {
	path := write(t, "command = [\"app\"]\nworkers = 2\ndrain_timeout = \"5s\"\n")
	t.Setenv("PREFORK_RUN_WORKERS", "")
	c, l := load(t, []string{"PREFORK_RUN_CONFIG=" + path}, layer{"nice": {{"3", "--nice"}}})
	if c.Workers != 2 {
		t.Fatalf("%d workers", c.Workers)
	}
	t.Setenv("PREFORK_RUN_WORKERS", "7") // too late: the environment is taken once
	if err := os.WriteFile(path, []byte("command = [\"app\", \"-v2\"]\nworkers = \"auto\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	next, err := l.load()
	if err != nil {
		t.Fatal(err)
	}
	if next.Workers != availableCPUs() || next.WorkersText != "auto" || *next.Nice != 3 || next.DrainTimeout != 30*time.Second || len(next.Command) != 2 {
		t.Errorf("%+v", next)
	}
	if c.Workers != 2 || len(c.Command) != 1 || c.DrainTimeout != 5*time.Second {
		t.Errorf("the running configuration changed: %+v", c)
	}
	if err := c.Unchangeable(next); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("command = [\"app\"]\nwrokers = 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := l.load(); err == nil || err.Error() != path+`:2: unknown key "wrokers", did you mean "workers"?` {
		t.Errorf("%v", err)
	}
}

// TestFileIsOneOfItsVersions is row C10 of the faults: a file that is replaced
// by rename while it is read is one version or the other.
func TestFileIsOneOfItsVersions(t *testing.T) {
	path := write(t, "command = [\"app\"]\nworkers = 1\n")
	versions := []string{
		"command = [\"app\"]\nworkers = 1\n" + strings.Repeat("# "+strings.Repeat("a", 60)+"\n", 500),
		"command = [\"other\"]\nworkers = 2\n",
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := os.WriteFile(path+".new", []byte(versions[i%2]), 0o644); err != nil {
				t.Error(err)
				return
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	l := newLoader(layer{"config": {{path, "--config"}}}, nil, nil)
	for range 100 {
		c, err := l.load()
		if err != nil {
			t.Error(err)
			break
		}
		if c.Command[0] == "app" != (c.Workers == 1) {
			t.Errorf("half a file: %q, %d workers", c.Command, c.Workers)
			break
		}
	}
	close(stop)
	<-done
}

func TestEntriesOfEnvAndLimitsMergeByName(t *testing.T) {
	path := write(t, "command = [\"app\"]\n[env]\nZ = \"file\"\nA = \"file\"\nM = \"file\"\n[rlimit]\nnofile = 10\ncore = \"unlimited\"\n")
	c, _ := load(t,
		[]string{"PREFORK_RUN_ENV=A=variable one\nV=x=y", "PREFORK_RUN_RLIMIT=nofile=20 cpu=1"},
		layer{"config": {{path, "--config"}}, "env": {{"M=flag", "--env"}, {"M=last", "--env"}}})
	var env, limits []string
	for _, v := range c.Env {
		env = append(env, v.Key+"="+v.Value)
	}
	for _, r := range c.Rlimits {
		limits = append(limits, r.String())
	}
	if want := []string{"Z=file", "A=variable one", "M=last", "V=x=y"}; !slices.Equal(env, want) {
		t.Errorf("env %q, want %q", env, want)
	}
	if want := []string{"nofile=20", "core=unlimited", "cpu=1"}; !slices.Equal(limits, want) {
		t.Errorf("limits %q, want %q", limits, want)
	}
	for key, want := range map[string]string{"env.Z": path + ":3", "env.A": "PREFORK_RUN_ENV", "env.M": "--env", "rlimit.core": path + ":8"} {
		if c.Where[key] != want {
			t.Errorf("%s from %s, want %s", key, c.Where[key], want)
		}
	}
}

func TestTablesMayBeWrittenInAnyForm(t *testing.T) {
	for _, text := range []string{
		"[env]\nA = \"1\"\n",
		"env = { A = \"1\" }\n",
		"env.A = \"1\"\n",
		"\"env\".'A' = \"1\"\n",
		"env.A = 1\nrlimit = [\"core=0\"]\n",
		"rlimit.core = 0\n[env]\nA = \"1\"\n",
	} {
		path := write(t, "command = [\"app\"]\n"+text)
		c, _ := load(t, nil, layer{"config": {{path, "--config"}}})
		if len(c.Env) != 1 || c.Env[0] != (master.EnvVar{Key: "A", Value: "1"}) || !strings.HasPrefix(c.Where["env.A"], path+":") {
			t.Errorf("%q: %+v from %q", text, c.Env, c.Where["env.A"])
		}
	}
}

func TestNameComesFromFileElseFromCommand(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "my shop.toml")
	if err := os.WriteFile(path, []byte("command = [\"app\"]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		l    *loader
	}{
		{"my-shop", newLoader(layer{"config": {{path, "--config"}}}, nil, nil)},
		{"app", newLoader(layer{}, nil, []string{"/srv/bin/app", "-x"})},
		{"python3.11", newLoader(layer{}, nil, []string{"python3.11"})},
		{"hidden", newLoader(layer{}, nil, []string{"./.hidden"})},
		{"prefork", newLoader(layer{}, nil, []string{"./..."})},
		{"given", newLoader(layer{"name": {{"given", "--name"}}}, nil, []string{"x"})},
		{strings.Repeat("x", 64), newLoader(layer{}, nil, []string{strings.Repeat("x", 90)})},
	} {
		got, err := c.l.load()
		if err != nil || got.Name != c.want {
			t.Errorf("%q, %v, want %q", got.Name, err, c.want)
		}
	}
}

func TestControlSocketHasItsPlace(t *testing.T) {
	for _, c := range []struct {
		uid  int
		env  map[string]string
		want string
	}{
		{0, nil, "/run/prefork/shop.sock"},
		{0, map[string]string{"XDG_RUNTIME_DIR": "/run/user/0"}, "/run/prefork/shop.sock"},
		{1000, map[string]string{"XDG_RUNTIME_DIR": "/run/user/1000"}, "/run/user/1000/prefork/shop.sock"},
		{1000, nil, ""},
		{1000, map[string]string{"RUNTIME_DIRECTORY": "/run/a:/run/b", "XDG_RUNTIME_DIR": "/x"}, "/run/a/control.sock"},
	} {
		s := searchPath{run: "/run", uid: c.uid, env: func(name string) string { return c.env[name] }}
		if got := s.defaultControl("shop"); got != c.want {
			t.Errorf("uid %d, %v: %q, want %q", c.uid, c.env, got, c.want)
		}
	}
}

func TestQuotaOfTheCgroupCounts(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		cpus  int
		ok    bool
	}{
		"no cgroup": {fstest.MapFS{}, 0, false},
		"version 2, no quota": {fstest.MapFS{
			"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/cpu.max": file("max 100000\n"),
		}, 0, false},
		"version 2": {fstest.MapFS{
			"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/cpu.max": file("150000 100000\n"),
		}, 2, true},
		"version 2, less than one": {fstest.MapFS{
			"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/cpu.max": file("5000 100000\n"),
		}, 1, true},
		"version 2, the parent has less": {fstest.MapFS{
			"proc/self/cgroup":          file("0::/a/b/c\n"),
			"sys/fs/cgroup/a/cpu.max":   file("100000 100000\n"),
			"sys/fs/cgroup/a/b/cpu.max": file("400000 100000\n"),
		}, 1, true},
		"version 1": {fstest.MapFS{
			"proc/self/cgroup":                    file("5:cpu,cpuacct:/docker/x\n4:memory:/y\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":  file("300000\n"), // a container sees its own group as the root
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": file("100000\n"),
		}, 3, true},
		"version 1, none": {fstest.MapFS{
			"proc/self/cgroup":                            file("5:cpu,cpuacct:/\n"),
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  file("-1\n"),
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": file("100000\n"),
		}, 0, false},
		"nonsense": {fstest.MapFS{
			"proc/self/cgroup": file("x\n0::\n::\n0::/../../etc\n"), "sys/fs/cgroup/cpu.max": file("0 0\n"),
		}, 0, false},
	} {
		if cpus, ok := cgroupQuota(c.files); cpus != c.cpus || ok != c.ok {
			t.Errorf("%s: %d, %v, want %d, %v", name, cpus, ok, c.cpus, c.ok)
		}
	}
}

// FuzzFile: no document makes the reader panic, each problem is one line with a
// place in the file, and one without a problem gives a layer.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "command = [\"app\"]\n", "workers = 4\n[env]\nA = \"b\"\n", "[[env]]\nA = 1\n", "env.A.B = 1\n", "rlimit = [1]\n",
		"env = { A = { B = 1 } }\n", "a.b.c = 1\n[a]\n", "\"\" = 1\n", "[env]\n\"\" = \"x\"\n", "listen = [[]]\n", "x = 1979-05-27T07:32:00Z\n",
		"workers = inf\n", "command = []\n", "name = \"\\u0000\"\n", "name = '''\n'''\n", "[env]\n[env.x]\n", "workers = 0x7fffffffffffffff\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, problems := parseFile("f", data)
		if l == nil && len(problems) == 0 {
			t.Error("neither a layer nor a problem")
		}
		for _, p := range problems {
			if !strings.HasPrefix(p.Where, "f:") {
				t.Errorf("problem without a line: %v", p)
			}
		}
		c := defaults()
		apply(&c, layer{}, layer{}, l)
		_ = c.Validate()
	})
}
