package resp

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"prefork/ipc/store"
)

// sections of INFO, in its order.
var sections = []struct {
	name  string
	lines func(s *server, st store.Stats) string
}{
	{"Server", (*server).infoServer},
	{"Clients", (*server).infoClients},
	{"Memory", (*server).infoMemory},
	{"Persistence", (*server).infoPersistence},
	{"Stats", (*server).infoStats},
	{"Replication", (*server).infoReplication},
	{"Cluster", (*server).infoCluster},
	{"Keyspace", (*server).infoKeyspace},
}

func (s *server) info(_ *client, a [][]byte) {
	st, err := s.store.Stats(s.ctx)
	if err != nil {
		s.failed(err)
		return
	}
	var parts []string
	for _, section := range sections {
		wanted := len(a) == 1
		for _, arg := range a[1:] {
			wanted = wanted || is(arg, section.name) || is(arg, "all") || is(arg, "default") || is(arg, "everything")
		}
		if wanted {
			parts = append(parts, "# "+section.name+"\r\n"+section.lines(s, st))
		}
	}
	s.r.verbatim(strings.Join(parts, "\r\n"))
}

func (s *server) infoServer(store.Stats) string {
	up := int64(time.Since(s.started).Seconds())
	return lines("redis_version", redisVersion, "redis_mode", "standalone", "prefork_version", s.o.Version,
		"os", runtime.GOOS, "arch_bits", 64, "process_id", os.Getpid(), "tcp_port", 0,
		"uptime_in_seconds", up, "uptime_in_days", up/86400)
}

func (s *server) infoClients(store.Stats) string {
	return lines("connected_clients", len(s.clients), "maxclients", s.o.MaxClients, "blocked_clients", 0)
}

func (s *server) infoMemory(st store.Stats) string {
	return lines("used_memory", st.UsedBytes, "maxmemory", st.Bytes)
}

func (s *server) infoPersistence(store.Stats) string { return lines("loading", 0) }

func (s *server) infoStats(st store.Stats) string {
	return lines("total_connections_received", s.accepted, "total_commands_processed", s.commands,
		"rejected_connections", s.refused, "expired_keys", st.Expired, "evicted_keys", st.Evicted,
		"keyspace_hits", st.Hits, "keyspace_misses", st.Misses)
}

func (s *server) infoReplication(store.Stats) string {
	return lines("role", "master", "connected_slaves", 0)
}

func (s *server) infoCluster(store.Stats) string { return lines("cluster_enabled", 0) }

func (s *server) infoKeyspace(st store.Stats) string {
	if st.Entries == 0 {
		return ""
	}
	return fmt.Sprintf("db0:keys=%d,expires=0,avg_ttl=0\r\n", st.Entries)
}

// lines writes names and values.
func lines(pairs ...any) string {
	var text strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&text, "%v:%v\r\n", pairs[i], pairs[i+1])
	}
	return text.String()
}
