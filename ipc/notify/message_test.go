package notify_test

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"prefork/ipc/notify"
)

func TestMessageHasWhatItsLinesSay(t *testing.T) {
	for text, want := range map[string]notify.Message{
		"READY=1":                        {Ready: true},
		"READY=1\n":                      {Ready: true},
		"READY=1\nSTATUS=8 requests=2":   {Ready: true, HasStatus: true, Status: "8 requests=2"},
		"STATUS=":                        {HasStatus: true},
		"STATUS=one\nSTATUS=two":         {HasStatus: true, Status: "two"},
		"STATUS=a\x1b[31m\tb\x7f\u2028c": {HasStatus: true, Status: "a [31m b  c"},
		"WATCHDOG=1\nX_PREFORK_WORKER=1": {Watchdog: true, GoWorker: true},
		"STOPPING=1\nRELOADING=1":        {Stopping: true, Reloading: true},
		"EXTEND_TIMEOUT_USEC=1500000":    {ExtendTimeout: 1500 * time.Millisecond},
		"BARRIER=1":                      {},
		// Other values of the flags, other names and lines without a name are
		// ignored, as sd_notify(3) says.
		"READY=0\nREADY=yes\nready=1\nnonsense\n\n=1\nERRNO=2\nX_OWN=1": {},
		"READY=1\nREADY=0":                        {Ready: true},
		"WATCHDOG=trigger":                        {Refused: []string{"WATCHDOG"}},
		"STATUS=\xff\xfe":                         {Refused: []string{"STATUS"}},
		"EXTEND_TIMEOUT_USEC=-1":                  {Refused: []string{"EXTEND_TIMEOUT_USEC"}},
		"EXTEND_TIMEOUT_USEC=9e9":                 {Refused: []string{"EXTEND_TIMEOUT_USEC"}},
		"MAINPID=1\nREADY=1\nMAINPID=2":           {Ready: true, Refused: []string{"MAINPID"}},
		"FDSTORE=1\nFDNAME=x\nFDPOLL=0":           {Refused: []string{"FDSTORE", "FDNAME", "FDPOLL"}},
		"NOTIFYACCESS=all\nWATCHDOG_USEC=":        {Refused: []string{"NOTIFYACCESS", "WATCHDOG_USEC"}},
		"EXTEND_TIMEOUT_USEC=9223372036854776":    {Refused: []string{"EXTEND_TIMEOUT_USEC"}},
		"EXTEND_TIMEOUT_USEC=9223372036854775":    {ExtendTimeout: 9223372036854775 * time.Microsecond},
		"EXTEND_TIMEOUT_USEC=1\nSTATUS=\u00e4 ok": {ExtendTimeout: time.Microsecond, HasStatus: true, Status: "ä ok"},
	} {
		got, err := notify.Parse([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q) = %+v, %v\nwant %+v", text, got, err, want)
		}
	}
}

func TestMessageThatCountsForNothing(t *testing.T) {
	for _, text := range []string{"", "READY=1\x00", strings.Repeat("x", notify.MaxMessage+1)} {
		if m, err := notify.Parse([]byte(text)); err == nil || m.Ready {
			t.Errorf("Parse of %d bytes = %+v, %v; want an error", len(text), m, err)
		}
	}
	if _, err := notify.Parse([]byte(strings.Repeat("x", notify.MaxMessage))); err != nil {
		t.Errorf("Parse of the longest message: %v", err)
	}
}

func TestLongStatusIsCutBetweenCharacters(t *testing.T) {
	m, err := notify.Parse([]byte("STATUS=x" + strings.Repeat("€", 400)))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Status) > notify.MaxStatus || len(m.Status) < notify.MaxStatus-3 || !utf8.ValidString(m.Status) {
		t.Fatalf("status has %d bytes, valid %v", len(m.Status), utf8.ValidString(m.Status))
	}
}

func TestStatusOfForeignTextIsOneAssignment(t *testing.T) {
	line := notify.Status("start slot 2: \xff\nMAINPID=1\r\x00 exit 3\n")
	if strings.ContainsAny(line, "\n\r\x00") || !utf8.ValidString(line) {
		t.Fatalf("Status gives %q", line)
	}
	m, err := notify.Parse([]byte(line))
	if err != nil || m.Refused != nil || !strings.HasPrefix(m.Status, "start slot 2: ") {
		t.Fatalf("Parse(%q) = %+v, %v", line, m, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"READY=1", "READY=1\nSTATUS=up\nX_PREFORK_WORKER=1", "STATUS=\xff", "STATUS=" + strings.Repeat("ä", 600), "WATCHDOG=trigger",
		"EXTEND_TIMEOUT_USEC=18446744073709551615", "MAINPID=1\nFDSTORE=1\nBARRIER=1", "\n\n=\n==", "\x00", strings.Repeat("FDNAME=a\n", 500),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		m, err := notify.Parse(datagram)
		if err != nil {
			if !reflect.DeepEqual(m, notify.Message{}) {
				t.Fatalf("an error, and %+v", m)
			}
			return
		}
		if len(m.Status) > notify.MaxStatus || !utf8.ValidString(m.Status) || strings.ContainsAny(m.Status, "\n\r\x1b\x00") {
			t.Fatalf("status %q", m.Status)
		}
		if m.ExtendTimeout < 0 || len(m.Refused) > 16 || m.Status != "" && !m.HasStatus {
			t.Fatalf("message %+v", m)
		}
		// What a status holds survives being sent on.
		if again, err := notify.Parse([]byte(notify.Status(m.Status))); err != nil || again.Status != m.Status {
			t.Fatalf("status %q comes back as %q, %v", m.Status, again.Status, err)
		}
	})
}
