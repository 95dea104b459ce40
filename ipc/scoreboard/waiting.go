package scoreboard

// waiting has the begins of requests in the order in which they came. It is
// for one goroutine at a time.
type waiting struct {
	first, last *wait
	spare       *wait // linked by next; as many as there ever were at once
}

type wait struct {
	since      int64
	prev, next *wait
}

func (q *waiting) add(since int64) *wait {
	w := q.spare
	if w == nil {
		w = &wait{}
	} else {
		q.spare = w.next
	}
	*w = wait{since: since, prev: q.last}
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	return w
}

func (q *waiting) remove(w *wait) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	*w = wait{next: q.spare}
	q.spare = w
}

// oldest gives the begin of the first one; 0: there is none.
func (q *waiting) oldest() uint64 {
	if q.first == nil {
		return 0
	}
	return uint64(q.first.since)
}
