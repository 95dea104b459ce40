package control

import "time"

// Counts is what a worker's cell says of its requests. -1: it does not say.
type Counts struct {
	InFlight int64 `json:"in_flight"` // begun, and not ended
	BytesIn  int64 `json:"bytes_in"`  // of its connections, since it started
	BytesOut int64 `json:"bytes_out"`
	// Heartbeat counts the advances of requests: one is begun, bytes of it are
	// read or written, it ends. Nothing else moves it.
	Heartbeat    int64     `json:"heartbeat"`
	HeartbeatAge float64   `json:"heartbeat_age_seconds,omitempty"` // since the last one; 0: there was none
	Oldest       time.Time `json:"oldest,omitzero"`                 // begin of the request in flight the longest
	Latency      *Latency  `json:"latency,omitempty"`
}

// NoCounts are those of a worker that does not say.
var NoCounts = Counts{InFlight: -1, BytesIn: -1, BytesOut: -1, Heartbeat: -1}

// Latency is how long answers took, each figure within 12.5 %.
type Latency struct {
	Count uint64  `json:"count"` // answers
	P50   float64 `json:"p50_seconds"`
	P99   float64 `json:"p99_seconds"`
}

// Serving is a request that a worker serves at this moment. The client chose
// its texts.
type Serving struct {
	Method string    `json:"method"`
	Path   string    `json:"path"` // without the query
	Client string    `json:"client"`
	Cut    bool      `json:"cut,omitempty"` // one of the texts was longer
	Since  time.Time `json:"since"`
}

// Totals are the counts of the whole pool since the master began, of workers
// that have ended, too. They never go back.
type Totals struct {
	Requests int64    `json:"requests"` // begun
	Accepted int64    `json:"accepted"`
	BytesIn  int64    `json:"bytes_in"`
	BytesOut int64    `json:"bytes_out"`
	Cut      int64    `json:"cut"` // requests that were in flight when their worker ended
	Latency  *Latency `json:"latency,omitempty"`
}
