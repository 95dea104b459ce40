package resp_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"prefork/ipc/resp"
	"prefork/ipc/store"
)

// process is a server in a process of its own.
type process struct {
	t    testing.TB
	path string
	pid  int
}

func serveInProcess(t testing.TB, env ...string) *process {
	t.Helper()
	p := &process{t: t, path: filepath.Join(t.TempDir(), "s")}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "RESP_TEST_SERVE="+p.path), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	if err := untilLine(out, "ready"); err != nil {
		t.Fatal(err)
	}
	return p
}

// rss gives the resident memory of the server, in bytes.
func (p *process) rss() int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				p.t.Fatal(err)
			}
			return kib << 10
		}
	}
	p.t.Fatal("no VmRSS")
	return 0
}

// cpu gives the time that the server has used.
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

func TestGuestsAreHeldToSmallBounds(t *testing.T) {
	path := serve(t, store.Private(store.Config{}), resp.Options{Password: "secret"})
	for _, row := range []struct{ send, want string }{
		{"*10\r\n" + strings.Repeat("$1\r\na\r\n", 10), "-ERR unknown command 'a'"},
		{"*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"},
		{"*1000000\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"},
		{"*2\r\n$4\r\nPING\r\n$16384\r\n" + strings.Repeat("a", 16384) + "\r\n", "-NOAUTH Authentication required.\r\n"},
		{"*2\r\n$4\r\nPING\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"},
		{string(encode("get", "a")), "-NOAUTH Authentication required.\r\n"},
		{string(encode("hello", "3")), "-NOAUTH HELLO must be called with the client already authenticated"},
		{string(encode("auth", "wrong")), "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
		{string(encode("auth", "secret")) + string(encode("get", "a")), "+OK\r\n$-1\r\n"},
		{string(encode("auth", "default", "secret")), "+OK\r\n"},
		{string(encode("auth", "other", "secret")), "-WRONGPASS"},
		{string(encode("hello", "3", "auth", "default", "secret", "setname", "me")), "%7\r\n"},
		{string(encode("auth", "secret")) + string(encode("reset")) + string(encode("get", "a")), "+OK\r\n+RESET\r\n-NOAUTH"},
	} {
		w := dial(t, path)
		w.send([]byte(row.send))
		if err := w.Conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := w.rest(); !strings.HasPrefix(got, row.want) {
			t.Errorf("%.80q: %q, want %q", row.send, got, row.want)
		}
	}
}

// TestGuestsCostLittleMemory is goal Z14: at most 256 KiB each, whatever they
// send.
func TestGuestsCostLittleMemory(t *testing.T) {
	p := serveInProcess(t, "RESP_TEST_PASSWORD=secret")
	clients := 300
	before := p.rss()
	payload := []byte("*10\r\n" + strings.Repeat("$16384\r\n"+strings.Repeat("a", 16384)+"\r\n", 3) + "$16384\r\n" + strings.Repeat("a", 16000)) // what is taken of one that is not complete, about
	for range clients {
		dial(t, p.path).send(payload)
	}
	w := dial(t, p.path)
	if got := w.do("auth", "secret"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	each := (p.rss() - before) / clients
	t.Logf("%d KiB for a client that has not authenticated", each>>10)
	if each > 256<<10 && !underRace {
		t.Errorf("%d KiB, more than 256", each>>10)
	}
}

func TestIdleClientsHaveNoBuffers(t *testing.T) {
	p := serveInProcess(t)
	const clients = 500
	value := strings.Repeat("x", 20000)
	first := dial(t, p.path)
	first.do("set", "k", value)
	before := p.rss()
	for range clients {
		w := dial(t, p.path)
		w.do("set", "k", value)
		w.do("get", "k")
	}
	each := (p.rss() - before) / clients
	t.Logf("%d bytes for a client that is idle", each)
	if each > 16<<10 && !underRace {
		t.Errorf("%d bytes", each)
	}
}

func TestGuestsThatDoNotReadAreClosed(t *testing.T) {
	var reason string
	done := make(chan struct{})
	path := serve(t, store.Private(store.Config{}), resp.Options{Password: "secret", Closed: func(r string) { reason = r; close(done) }})
	w := dial(t, path)
	_ = w.SetDeadline(time.Now().Add(30 * time.Second))
	one := bytes.Repeat(encode("get", "a"), 1000)
	for {
		if _, err := w.Write(one); err != nil {
			break
		}
	}
	<-done
	if reason != "replies that nobody read" {
		t.Error(reason)
	}
}

func TestClientsThatDoNotReadAreClosed(t *testing.T) {
	reasons := make(chan string, 1)
	s := store.Private(store.Config{})
	path := serve(t, s, resp.Options{MaxOutput: 4 << 20, Closed: func(r string) { reasons <- r }})
	w := dial(t, path)
	w.do("set", "big", strings.Repeat("x", 1<<20))
	w.send(bytes.Repeat(encode("get", "big"), 20))
	if got := <-reasons; got != "replies that nobody read" {
		t.Error(got)
	}
	if n := len(w.rest()); n > 8<<20 {
		t.Errorf("%d bytes came all the same", n)
	}
	if got := dial(t, path).do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
}

func TestOneCommandAboveTheBoundForInputIsClosed(t *testing.T) {
	reasons := make(chan string, 1)
	path := serve(t, store.Private(store.Config{}), resp.Options{MaxInput: 1 << 20, Closed: func(r string) { reasons <- r }})
	w := dial(t, path)
	value := strings.Repeat("x", 100<<10)
	var b []byte
	b = fmt.Appendf(b, "*101\r\n$4\r\nMSET\r\n")
	for range 100 {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(value), value)
	}
	_ = w.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = w.Write(b)
	if got := <-reasons; got != "a command above the bound for input" {
		t.Error(got)
	}
	w = dial(t, path)
	if got := w.do("set", "k", value); got != "+OK\r\n" {
		t.Error(got)
	}
}

func TestBuffersOfAllClientsAreBoundedTogether(t *testing.T) {
	reasons := make(chan string, 100)
	path := serve(t, store.Private(store.Config{}), resp.Options{MaxMemory: 8 << 20, Closed: func(r string) { reasons <- r }})
	piece := append([]byte("*2\r\n$4\r\nECHO\r\n$4000000\r\n"), bytes.Repeat([]byte("x"), 1<<20)...)
	var all []*wire
	for range 30 {
		w := dial(t, path)
		all = append(all, w)
		_ = w.SetDeadline(time.Now().Add(30 * time.Second))
		_, _ = w.Write(piece) // it may be closed meanwhile
	}
	if got := <-reasons; got != "the bound for the buffers of all clients" {
		t.Error(got)
	}
	if got := dial(t, path).do("ping"); got != "+PONG\r\n" {
		t.Error(got)
	}
	_ = all
}

func TestSilentClientsAreClosedAfterTheIdleTime(t *testing.T) {
	path := serve(t, store.Private(store.Config{}), resp.Options{Idle: 100 * time.Millisecond})
	w := dial(t, path)
	start := time.Now()
	if got := w.rest(); got != "" {
		t.Errorf("%q", got)
	}
	if took := time.Since(start); took < 90*time.Millisecond {
		t.Errorf("closed after %v", took)
	}
}

func TestClientsAboveTheLimitAreToldSo(t *testing.T) {
	path := serve(t, store.Private(store.Config{}), resp.Options{MaxClients: 3})
	var all []*wire
	for range 3 {
		w := dial(t, path)
		w.do("ping")
		all = append(all, w)
	}
	if got := dial(t, path).rest(); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("%q", got)
	}
	all[0].do("quit")
	all[0].rest()
	if got := dial(t, path).do("ping"); got != "+PONG\r\n" {
		t.Errorf("%q", got)
	}
}

// TestNoDescriptorsMakeClientsWaitAndNotSpin starts a server with room for a
// few connections only.
func TestNoDescriptorsMakeClientsWaitAndNotSpin(t *testing.T) {
	p := serveInProcess(t, "RESP_TEST_FDS=8")
	var served, waiting []*wire
	for range 20 {
		w := dial(t, p.path)
		w.send(encode("ping"))
		_ = w.SetDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err := w.r.Peek(1); err == nil {
			served = append(served, w)
			w.reply()
		} else if waiting = append(waiting, w); len(waiting) == 3 {
			break
		}
	}
	if len(served) == 0 || len(waiting) != 3 {
		t.Fatalf("%d served, %d waiting", len(served), len(waiting))
	}
	before := p.cpu()
	_ = served[0].SetDeadline(time.Now().Add(time.Second))
	_, _ = served[0].r.Peek(1) // a second with nothing to do
	if used := p.cpu() - before; used > 300*time.Millisecond {
		t.Errorf("%v of CPU time in a second without descriptors", used)
	}
	for _, w := range served {
		_ = w.Close()
	}
	for _, w := range waiting {
		if got := w.reply(); got != "+PONG\r\n" {
			t.Errorf("%q", got)
		}
	}
}

func TestFramesOfOneByteAtATimeAreUnderstood(t *testing.T) {
	w := dial(t, serve(t, store.Private(store.Config{}), resp.Options{}))
	for _, b := range encode("set", "key", "value") {
		w.send([]byte{b})
	}
	if got := w.reply(); got != "+OK\r\n" {
		t.Error(got)
	}
	if got := w.do("get", "key"); got != "$5\r\nvalue\r\n" {
		t.Error(got)
	}
}

func TestADeepPipelineIsAnsweredInOrder(t *testing.T) {
	w := dial(t, serve(t, store.Private(store.Config{}), resp.Options{}))
	const n = 50000
	go func() {
		_ = w.SetWriteDeadline(time.Now().Add(60 * time.Second))
		var b []byte
		for range n {
			b = append(b, "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n"...)
		}
		_, _ = w.Write(b)
	}()
	_ = w.SetReadDeadline(time.Now().Add(60 * time.Second))
	for i := 1; i <= n; i++ {
		got, err := readReply(w.r)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(":%d\r\n", i); string(got) != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}

// TestADeepPipelineDoesNotStarveOthers has one client with work for seconds,
// and another that must be answered all the same, long before its end.
func TestADeepPipelineDoesNotStarveOthers(t *testing.T) {
	path := serve(t, store.Private(store.Config{}), resp.Options{})
	deep := dial(t, path)
	end := make(chan struct{})
	go func() {
		defer close(end)
		b := bytes.Repeat(encode("ping"), 1000000)
		_ = deep.SetDeadline(time.Now().Add(60 * time.Second))
		go func() { _, _ = deep.Write(b) }()
		_, _ = io.CopyN(io.Discard, deep.r, int64(7*1000000))
	}()
	other := dial(t, path)
	answered := 0
	for {
		select {
		case <-end:
			t.Logf("%d answers to others while a pipeline of 1,000,000 ran", answered)
			if answered < 20 {
				t.Errorf("%d answers", answered)
			}
			return
		default:
			other.do("ping")
			answered++
		}
	}
}

// TestDescriptorsSentToUsAreNotKept is row H8: read(2) takes none.
func TestDescriptorsSentToUsAreNotKept(t *testing.T) {
	path := serve(t, store.Private(store.Config{}), resp.Options{})
	w := dial(t, path)
	w.do("ping")
	before := openFiles(t)
	fds := make([]int, 253)
	for i := range fds {
		fds[i] = 0
	}
	if _, _, err := w.Conn.(*net.UnixConn).WriteMsgUnix(encode("ping"), unix.UnixRights(fds...), nil); err != nil {
		t.Logf("the kernel refuses to send them: %v", err)
	} else if got := w.reply(); got != "+PONG\r\n" {
		t.Error(got)
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func TestWhatWasSentBeforeAHalfCloseIsAnswered(t *testing.T) {
	w := dial(t, serve(t, store.Private(store.Config{}), resp.Options{}))
	w.send(bytes.Repeat(encode("ping"), 5000))
	if err := w.Conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(w.rest(), "+PONG\r\n"); got != 5000 {
		t.Errorf("%d of 5000 answers", got)
	}
}

func TestRepliesAreKeptBackAsAsked(t *testing.T) {
	w := dial(t, serve(t, store.Private(store.Config{}), resp.Options{}))
	w.send(bytes.Join([][]byte{
		encode("client", "reply", "skip"), encode("set", "a", "1"), encode("get", "a"),
		encode("client", "reply", "off"), encode("set", "a", "2"), encode("foo"), encode("keys", "*"), encode("client", "reply", "skip"),
		encode("client", "reply", "on"), encode("get", "a"), encode("quit"),
	}, nil))
	if got, want := w.rest(), "$1\r\n1\r\n+OK\r\n$1\r\n2\r\n+OK\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// openFiles counts the descriptors of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
