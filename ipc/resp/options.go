package resp

import "time"

// Options says how Serve serves. The zero value is the default.
type Options struct {
	Password string // asked of each client by AUTH or HELLO; "": none
	Version  string // of this program, for INFO and PREFORK VERSION

	MaxClients int           // 0: 10,000; fewer where RLIMIT_NOFILE leaves fewer
	Idle       time.Duration // a client that sends nothing for so long is closed; 0: never
	Drain      time.Duration // how long replies may take to leave at the end; 0: 1 s

	MaxInput  int   // bytes of one client that are not executed yet; 0: 16 MiB
	MaxOutput int   // bytes of replies that one client has not read; 0: 32 MiB
	MaxMemory int64 // bytes of all clients' buffers together; 0: 256 MiB

	// Inline also takes commands as lines of words, as a person types them.
	Inline bool

	// Closed is told why a client was closed for its own fault: malformed
	// input, a bound, a web browser's request. It is called by the loop, so it
	// must not wait. nil: nobody is told.
	Closed func(reason string)
}

// What holds for each client, in bytes where nothing else is said.
const (
	maxArgs  = 1 << 17 // arguments of one command
	maxBulk  = 4 << 20 // one argument; a value has store.MaxValue
	maxLine  = 64 << 10
	readSize = 32 << 10 // of one read

	// Before authentication, when there is a password (CVE-2021-32675,
	// CVE-2025-21605).
	guestArgs   = 10
	guestBulk   = 16 << 10
	guestInput  = 64 << 10
	guestOutput = 16 << 10

	// One turn of a client.
	turnInput    = 256 << 10
	turnCommands = 256
	turnOutput   = 256 << 10
	turnKeys     = 1000 // of a command that walks through the store
)

func (o Options) withDefaults() Options {
	if o.MaxClients <= 0 {
		o.MaxClients = 10000
	}
	if o.Drain <= 0 {
		o.Drain = time.Second
	}
	if o.MaxInput <= 0 {
		o.MaxInput = 16 << 20
	}
	if o.MaxOutput <= 0 {
		o.MaxOutput = 32 << 20
	}
	if o.MaxMemory <= 0 {
		o.MaxMemory = 256 << 20
	}
	return o
}
