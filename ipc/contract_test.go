package ipc_test

import (
	"testing"

	"prefork/ipc"
)

func TestABusyReportIsOneLineOfADatagram(t *testing.T) {
	for text, want := range map[string]*ipc.Busy{
		"X_PREFORK_BUSY=3:17":                             {Shard: 3, ID: 17},
		"STATUS=waits\nX_PREFORK_BUSY=0:1\n":              {Shard: 0, ID: 1},
		"X_PREFORK_BUSY=nonsense\nX_PREFORK_BUSY=1:2":     {Shard: 1, ID: 2},
		"X_PREFORK_BUSY=1:9223372036854775807":            {Shard: 1, ID: 1<<63 - 1},
		"X_PREFORK_BUSY=1:9223372036854775808":            nil, // 63 bits
		"X_PREFORK_BUSY=1:0":                              nil, // nobody
		"X_PREFORK_BUSY=-1:2":                             nil,
		"X_PREFORK_BUSY=1048576:2":                        nil,
		"X_PREFORK_BUSY=+1:2":                             nil,
		"X_PREFORK_BUSY=01:2":                             nil,
		"X_PREFORK_BUSY=1:2:3":                            nil,
		"X_PREFORK_BUSY=1":                                nil,
		"X_PREFORK_BUSY= 1:2":                             nil,
		" X_PREFORK_BUSY=1:2":                             nil,
		"x_prefork_busy=1:2":                              nil,
		"":                                                nil,
		"X_PREFORK_BUSY=99999999999999999999999999999:17": nil,
	} {
		got := ipc.ParseBusy([]byte(text))
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func FuzzParseBusy(f *testing.F) {
	for _, seed := range []string{"X_PREFORK_BUSY=3:17", "READY=1\nX_PREFORK_BUSY=0:1", "X_PREFORK_BUSY=1:9223372036854775808", "X_PREFORK_BUSY=:", "X_PREFORK_BUSY=\xff:\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		b := ipc.ParseBusy(datagram)
		if b == nil {
			return
		}
		if b.Shard < 0 || b.Shard >= 1<<20 || b.ID == 0 || b.ID > 1<<63-1 {
			t.Fatalf("%+v", b)
		}
		if again := ipc.ParseBusy([]byte(b.String())); again == nil || *again != *b {
			t.Fatalf("%+v comes back as %v", b, again)
		}
	})
}
