package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestDemoDefaultsYieldToFlagVariableAndFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.toml")
	if err := os.WriteFile(file, []byte("workers = 7\nname = \"own\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flag := func(text string) []entry { return []entry{{text, "flag"}} }
	for _, c := range []struct {
		when         string
		flags        layer
		environ      []string
		name, accept string
		workers      int
	}{
		{"nothing is given", layer{}, nil, "demo", "rotate", 4},
		{"flags", layer{"workers": flag("2"), "accept": flag("naive")}, nil, "demo", "naive", 2},
		{"variables", layer{}, []string{"PREFORK_RUN_WORKERS=3", "PREFORK_RUN_NAME=mine"}, "mine", "rotate", 3},
		{"a file", layer{"config": flag(file)}, nil, "own", "rotate", 7},
	} {
		p := &program{environ: c.environ}
		l, err := p.demoLoader(c.flags)
		if err != nil {
			t.Fatal(err)
		}
		got, err := l.load()
		if err != nil {
			t.Errorf("%s: %v", c.when, err)
			continue
		}
		if got.Name != c.name || got.Accept != c.accept || got.Workers != c.workers {
			t.Errorf("%s: name %q, accept %q, %d workers, want %q, %q, %d", c.when, got.Name, got.Accept, got.Workers, c.name, c.accept, c.workers)
		}
		if len(got.Command) != 3 || !filepath.IsAbs(got.Command[0]) || got.Command[2] != demoWorkerArg {
			t.Errorf("%s: command %q", c.when, got.Command)
		}
	}
}

func TestDemoDefaultsYieldToWhatTheFileSaysAtAReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.toml")
	p := &program{}
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log_level = \"warn\"\n")
	l, err := p.demoLoader(layer{"config": []entry{{file, "flag"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text    string
		workers int
	}{
		{"log_level = \"warn\"\n", 4},
		{"workers = 2\n", 2},
		{"log_level = \"warn\"\n", 4},
	} {
		write(c.text)
		if got, err := l.load(); err != nil || got.Workers != c.workers {
			t.Errorf("%q: %d workers, %v, want %d", c.text, got.Workers, err, c.workers)
		}
	}
}

func TestShellCommandIsWhatAShellUnderstands(t *testing.T) {
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	inPath := filepath.Join(folder, "bin", "prefork")
	if err := os.WriteFile(inPath, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(folder, "bin"))
	for _, c := range []struct{ self, here, want string }{
		{"/tmp/go-build3141/b001/exe/prefork", "/src", "go run ./cmd/prefork"},
		{inPath, "/src", "prefork"},
		{"/src/prefork", "/src", "./prefork"},
		{"/src/out/prefork", "/src", "./out/prefork"},
		{"/src/prefork", "/srv", "/src/prefork"},
		{"/srcs/prefork", "/src", "/srcs/prefork"},
		{"/my programs/it's", "/src", `'/my programs/it'\''s'`},
	} {
		if got := shellCommand(c.self, c.here); got != c.want {
			t.Errorf("shellCommand(%q, %q) = %s, want %s", c.self, c.here, got, c.want)
		}
	}
}

func TestPageAddressIsOneThatABrowserOpens(t *testing.T) {
	for want, a := range map[string]net.Addr{
		"http://127.0.0.1:8080/": &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080},
		"http://[::1]:8080/":     &net.TCPAddr{IP: net.IPv6loopback, Port: 8080},
		"http://localhost:8080/": &net.TCPAddr{IP: net.IPv6unspecified, Port: 8080},
		"http://localhost:80/":   &net.TCPAddr{IP: net.IPv4zero, Port: 80},
		"unix:/run/demo.sock":    &net.UnixAddr{Name: "/run/demo.sock", Net: "unix"},
	} {
		if got := pageAddress(a); got != want {
			t.Errorf("%v: %s, want %s", a, got, want)
		}
	}
}
