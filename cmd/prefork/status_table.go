package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"prefork/ipc/store"
	"prefork/master/control"
)

// writeStatus writes a status for people. Every text in it is escaped.
func writeStatus(w io.Writer, s *control.Status, verbose bool, now time.Time) error {
	var b strings.Builder
	wanted := strconv.Itoa(s.Wanted)
	if s.Configured != s.Wanted {
		wanted += fmt.Sprintf(" (config %d)", s.Configured)
	}
	fmt.Fprintf(&b, "%s  %s  generation %d  ready %d of %s  pid %d  up %s\n",
		printable(s.Name), printable(s.Phase), s.Generation, readyWorkers(s), wanted, s.PID, span(now.Sub(s.StartedAt)))
	if !s.Ready {
		b.WriteString("takes no new work\n")
	}
	if s.Message != "" {
		b.WriteString(printable(s.Message) + "\n")
	}
	tables := []*table{listenerTable(s), workerTable(s, now), emptyTable(s, now)}
	if verbose {
		tables = append(tables, countsTable(s, now), servingTable(s, now))
	}
	for _, t := range tables {
		if len(t.rows) > 1 {
			b.WriteString("\n")
			t.write(&b)
		}
	}
	if line := storeLine(&s.Store); line != "" {
		b.WriteString("\nstore: " + line + "\n")
	}
	if t := helperTable(s, now); len(t.rows) > 1 {
		t.write(&b)
	}
	if verbose {
		b.WriteString("\ntotals: " + totalsLine(s.Totals) + "\n")
	}
	if r := s.LastReload; r != nil {
		fmt.Fprintf(&b, "\nlast reload: %s\n", reloadLine(r, now))
	}
	if line := droppedLine(s.Dropped); line != "" {
		b.WriteString("\ndropped: " + line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func listenerTable(s *control.Status) *table {
	t := &table{left: 1}
	t.add("LISTENER", "QUEUE", "OVERFLOWS", "IMBALANCE", "ACCEPT", "FROM", "NAME")
	for _, l := range s.Listeners {
		queue := known(int64(l.Queue)) + "/" + known(int64(l.Backlog))
		imbalance := "-"
		if l.Imbalance > 0 {
			imbalance = strconv.FormatFloat(l.Imbalance, 'f', 2, 64)
		}
		t.add(l.Address, queue, strconv.FormatUint(l.Overflows, 10), imbalance, l.Accept, l.From, l.Name)
	}
	return t
}

func workerTable(s *control.Status, now time.Time) *table {
	t := &table{}
	t.add("SLOT", "PID", "GEN", "STATE", "CONNS", "REQUESTS", "FOR", "WHY / STATUS")
	for _, w := range s.Workers {
		about := w.Why
		if w.Status != "" {
			if about != "" {
				about += "; "
			}
			about += w.Status
		}
		t.add(strconv.Itoa(w.Slot), strconv.Itoa(w.PID), strconv.Itoa(w.Generation), w.State,
			known(w.Connections), known(w.Requests), span(now.Sub(w.Since)), about)
	}
	return t
}

func emptyTable(s *control.Status, now time.Time) *table {
	t := &table{}
	t.add("EMPTY", "NEXT START", "WHY")
	for _, e := range s.Empty {
		next := "at a reload or scale"
		if !e.Until.IsZero() {
			next = "in " + span(max(0, e.Until.Sub(now)))
		}
		t.add(strconv.Itoa(e.Slot), next, e.Why)
	}
	return t
}

// storeLine is "" for a master that does not say what its store is.
func storeLine(s *control.Store) string {
	line := ""
	switch {
	case s.URL != "":
		line = s.URL
	case s.Size > 0:
		line = store.FormatSize(s.Size) + " of memory"
		if s.Full == "refuse" {
			line += ", refuses writes when it is full"
		}
	default:
		line = s.Kind
	}
	if s.File != "" {
		line += ", kept in " + s.File
	}
	return printable(line)
}

func helperTable(s *control.Status, now time.Time) *table {
	t := &table{left: 1}
	t.add("STORE SOCKET", "UID", "HELPER", "PID", "FOR", "RESTARTS", "WHY")
	for _, h := range s.Store.Helpers {
		pid := "-"
		if h.PID != 0 {
			pid = strconv.Itoa(h.PID)
		}
		t.add(h.Socket, strconv.Itoa(h.UID), h.State, pid, span(now.Sub(h.Since)), strconv.Itoa(h.Restarts), h.Why)
	}
	return t
}

func reloadLine(r *control.Reload, now time.Time) string {
	line := fmt.Sprintf("%s  generation %d  %s ago, took %s", printable(r.Outcome), r.Generation,
		span(now.Sub(r.At)), span(time.Duration(r.Took*float64(time.Second))))
	if r.Reason != "" {
		line += "\n  " + printable(r.Reason)
	}
	return line
}

func droppedLine(d control.Dropped) string {
	var parts []string
	add := func(n uint64, what string) {
		if n > 0 {
			parts = append(parts, strconv.FormatUint(n, 10)+" "+what)
		}
	}
	add(d.StderrBytes, "bytes of workers' stderr")
	add(d.Notifications, "notifications")
	add(d.Cells, "workers without a scoreboard cell")
	add(d.Snapshots, "scoreboard cells that failed their check")
	return strings.Join(parts, ", ")
}

// known writes a count, "-" for one that is not known.
func known(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// span writes a time span with two units at most: "3d4h", "2m5s", "0.4s".
func span(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// table aligns columns by their runes. The last column is as long as it is.
type table struct {
	left int // columns at the front whose texts may be long: not cut
	rows [][]string
}

// maxCell cuts a text of a worker that would push all else off the screen.
const maxCell = 100

func (t *table) add(cells ...string) {
	for i, c := range cells {
		c = printable(c)
		if i >= t.left && utf8.RuneCountInString(c) > maxCell {
			c = string([]rune(c)[:maxCell-3]) + "..."
		}
		cells[i] = c
	}
	t.rows = append(t.rows, cells)
}

func (t *table) write(b *strings.Builder) {
	width := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		for i, c := range row {
			line.WriteString(c)
			line.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}
