package resp

import (
	"strconv"

	"prefork/ipc/store"
)

// parameters are what CONFIG GET tells: what clients ask for, in their order
// of name.
var parameters = []struct {
	name  string
	value func(s *server, st store.Stats) string
}{
	{"appendonly", fixed("no")},
	{"databases", fixed("1")},
	{"maxclients", func(s *server, _ store.Stats) string { return strconv.Itoa(s.o.MaxClients) }},
	{"maxmemory", func(_ *server, st store.Stats) string { return strconv.FormatInt(st.Bytes, 10) }},
	{"notify-keyspace-events", fixed("")},
	{"proto-max-bulk-len", fixed(strconv.Itoa(maxBulk))},
	{"save", fixed("")},
	{"timeout", func(s *server, _ store.Stats) string { return strconv.Itoa(int(s.o.Idle.Seconds())) }},
}

func fixed(value string) func(*server, store.Stats) string {
	return func(*server, store.Stats) string { return value }
}

func (s *server) configGet(_ *client, a [][]byte) {
	st, err := s.store.Stats(s.ctx)
	if err != nil {
		s.failed(err)
		return
	}
	var found []string
	for _, p := range parameters {
		for _, pattern := range a[2:] {
			if match(lower(nil, pattern), p.name) {
				found = append(found, p.name, p.value(s, st))
				break
			}
		}
	}
	s.r.pairs(len(found) / 2)
	for _, text := range found {
		s.r.text(text)
	}
}

func (s *server) configSet(*client, [][]byte) {
	s.r.error("ERR CONFIG SET is not offered by this store: it is configured where the pool is started")
}
