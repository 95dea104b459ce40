package master

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"prefork/master/control"
)

// servingEnds is how many requests, from each end of their order by age, the
// line about the end of their worker names. A request that killed at once is
// among the newest, one that grew until it was killed among the oldest.
const servingEnds = 4

// lastServed is what a worker was serving when it ended, "" for nothing, or
// where its cell is bad. It costs one look at a cell of 4 KiB at most, and a
// cell in which no request is in flight not even that. Preconditions: the
// process has ended, and its cell is not given back.
func (m *master) lastServed(p *proc) string {
	snap, ok := m.snapshot(p)
	if !ok || snap.InFlight == 0 {
		return ""
	}
	return servingText(m.serving(p), snap.InFlight, time.Now())
}

// servingText puts requests on one line, the oldest first: "GET /a for 3s from
// 127.0.0.1:4711; 7 more; GET /b ...". Its length is bounded by those of a
// place of the scoreboard. No text of a worker or a client has a blank once it
// is escaped, so that none can look like a request of its own.
func servingText(list []control.Serving, inFlight int64, now time.Time) string {
	slices.SortStableFunc(list, func(a, b control.Serving) int { return a.Since.Compare(b.Since) })
	more := max(inFlight, int64(len(list))) // some have no place
	var parts []string
	for i, s := range list {
		if i < servingEnds || i >= len(list)-servingEnds {
			parts = append(parts, servingOne(s, now))
			more--
		}
	}
	if more > 0 {
		parts = slices.Insert(parts, min(servingEnds, len(parts)), fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, "; ")
}

func servingOne(s control.Serving, now time.Time) string {
	path := escaped(s.Path)
	if s.Cut {
		path += "..."
	}
	return escaped(s.Method) + " " + path + " for " + short(max(0, now.Sub(s.Since))) + " from " + escaped(s.Client)
}

// escaped writes text as a Go literal does, and blanks as it does bytes: what
// ends a line, drives a terminal or reorders a text (a bidi override is not
// printable to Go) shows as what it is. "-" stands for nothing.
func escaped(text string) string {
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(cmp.Or(quoted[1:len(quoted)-1], "-"), " ", `\x20`)
}
