package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

// rolePassed adopts what it was given and prints a line each, or the error;
// then which descriptors from 3 on are open.
var rolePassed = role("passed", func() {
	if os.Getenv("LISTEN_PID") == "" {
		_ = os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	adopt := sockets.Passed
	if os.Getenv("SOCKETS_TEST_WORKER") != "" {
		adopt = sockets.Inherited
	}
	got, err := adopt()
	if err != nil {
		fmt.Println("error:", err)
	}
	for _, s := range got {
		cloexec, _ := unix.FcntlInt(uintptr(s.FD), unix.F_GETFD, 0)
		fmt.Printf("%d %q %s %s v6only=%t cloexec=%d adopted=%t\n", s.FD, s.Name, s.Addr.Bound(), s.Asked.Key(), s.Addr.Options.V6Only, cloexec, s.Adopted)
	}
	open := ""
	for fd := 3; fd < 3+len(os.Getenv("SOCKETS_TEST_OPEN")); fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			open += "o"
		} else if errors.Is(err, unix.EBADF) {
			open += "-"
		}
	}
	fmt.Println("open:", open)
	if err := sockets.Unset(); err != nil {
		fmt.Println("error:", err)
	}
	fmt.Printf("left: %q\n", os.Getenv("LISTEN_PID")+os.Getenv("LISTEN_FDS")+os.Getenv("LISTEN_FDNAMES"))
})

func TestPassedSocketsAreAdopted(t *testing.T) {
	path, name := socketPath(t), abstractName(t)
	all := []*sockets.Socket{listen(t, "127.0.0.1:0"), listen(t, "[::]:0?v6only"), listen(t, "unix:"+path), listen(t, "unix:@"+name)}
	var files []*os.File
	for _, s := range all {
		files = append(files, file(t, s.FD))
	}
	got := play(t, rolePassed, false, files, "LISTEN_FDS=4", "LISTEN_FDNAMES=web:web::x y", "SOCKETS_TEST_OPEN=oooo")
	want := fmt.Sprintf(`3 "web" %[1]s systemd:web v6only=false cloexec=1 adopted=true
4 "web" %[2]s systemd:web v6only=true cloexec=1 adopted=true
5 "" unix:%[3]s unix:%[3]s v6only=false cloexec=1 adopted=true
6 "x y" unix:@%[4]s systemd:x y v6only=false cloexec=1 adopted=true
open: oooo
left: ""
`, all[0].Addr.Bound(), all[1].Addr.Bound(), path, name)
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// A descriptor that is no listener of ours is an error that says which and
// why, and nothing is closed.
func TestPassedRefusesWhatIsNoListener(t *testing.T) {
	good := file(t, listen(t, "127.0.0.1:0").FD)
	socket := func(family, kind int) *os.File {
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fd), "socket")
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		file *os.File
		fds  string
		want string
	}{
		{null, "2", `error: LISTEN_FDS: descriptor 4 ("b"): it is not a socket`},
		{socket(unix.AF_INET, unix.SOCK_STREAM), "2", `error: LISTEN_FDS: descriptor 4 ("b"): it does not listen: want Accept=no in its unit`},
		{socket(unix.AF_INET, unix.SOCK_DGRAM), "2", `error: LISTEN_FDS: descriptor 4 ("b"): it is not a stream socket: want ListenStream= in its unit`},
		{socket(unix.AF_UNIX, unix.SOCK_SEQPACKET), "2", `error: LISTEN_FDS: descriptor 4 ("b"): it is not a stream socket`},
		{socket(unix.AF_VSOCK, unix.SOCK_STREAM), "2", `error: LISTEN_FDS: descriptor 4 ("b"): its address family is 40: want TCP or Unix`},
		{good, "3", "error: LISTEN_FDNAMES has 2 names for 3 descriptors"},
	} {
		got := play(t, rolePassed, false, []*os.File{good, tt.file}, "LISTEN_FDS="+tt.fds, "LISTEN_FDNAMES=a:b", "SOCKETS_TEST_OPEN=oo")
		if !strings.HasPrefix(got, tt.want) || !strings.Contains(got, "\nopen: oo\n") {
			t.Errorf("got\n%swant\n%s", got, tt.want)
		}
		_ = tt.file.Close()
	}
	got := play(t, rolePassed, false, nil, "LISTEN_FDS=2", "SOCKETS_TEST_OPEN=")
	if !strings.HasPrefix(got, "error: LISTEN_FDS: descriptor 3 (no name): it is not ") {
		t.Errorf("got %s", got)
	}
}

func TestPassedToAnotherProcessIsNone(t *testing.T) {
	s := file(t, listen(t, "127.0.0.1:0").FD)
	got := play(t, rolePassed, false, []*os.File{s}, "LISTEN_PID=1", "LISTEN_FDS=1", "SOCKETS_TEST_OPEN=o")
	if want := "open: o\nleft: \"\"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The real thing, as far as it goes without a systemd as PID 1.
func TestPassedBySystemdSocketActivate(t *testing.T) {
	program, err := exec.LookPath("systemd-socket-activate")
	if err != nil {
		t.Skip("systemd-socket-activate is missing (Debian package systemd)")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path, name := socketPath(t), abstractName(t) // it takes no port 0
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-l", path, "-l", "@"+name, "--fdname=web:api",
		"-E", roleEnv+"="+rolePassed, "-E", "SOCKETS_TEST_OPEN=oo", self)
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it listens", func() bool { // it becomes our program at the first connection
		_, err := tryDial(t, &unix.SockaddrUnix{Name: path})
		return err == nil
	})
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) < 4 ||
		lines[0] != fmt.Sprintf(`3 "web" unix:%s systemd:web v6only=false cloexec=1 adopted=true`, path) ||
		lines[1] != fmt.Sprintf(`4 "api" unix:@%s systemd:api v6only=false cloexec=1 adopted=true`, name) ||
		lines[2] != "open: oo" || lines[3] != `left: ""` {
		t.Errorf("got\n%s", out.String())
	}
}

// A filter that a killed instance has left is removed by the next master, and
// stays where a worker starts while the door is closed.
func TestPassedOpensTheDoorAndInheritedLeavesIt(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	if err := s.CloseDoor(); err != nil {
		t.Fatal(err)
	}
	play(t, rolePassed, false, []*os.File{file(t, s.FD)}, "LISTEN_FDS=1", "SOCKETS_TEST_WORKER=1")
	c := dial(t, s)
	c.leftWaiting()
	play(t, rolePassed, false, []*os.File{file(t, s.FD)}, "LISTEN_FDS=1")
	dial(t, s).connected()
	c.connected()
}
