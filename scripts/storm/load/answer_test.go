package load

import (
	"fmt"
	"testing"
)

// outcome is all that a caller can see of an answer.
func outcome(a *answer, err error) string {
	return fmt.Sprint(err != nil, a.done(), a.started, a.status, a.close, string(a.worker), a.seen, a.differ)
}

// FuzzAnswer reads the same bytes whole and byte by byte: where the network
// cuts them makes no difference.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Worker: 7\r\n\r\nok",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		"HTTP/1.0 200\r\nconnection: Keep-Alive\r\n\r\nok and more",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore", "HTTP/1.1 20", "HTTP/2 200\r\n\r\n", "\r\n\r\n", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, bytewise := answer{workerHeader: "x-worker", want: "ok"}, answer{workerHeader: "x-worker", want: "ok"}
		wholeErr := whole.feed(data)
		var bytewiseErr error
		for i := range data {
			if bytewiseErr = bytewise.feed(data[i : i+1]); bytewiseErr != nil {
				break
			}
		}
		if wholeErr == nil {
			wholeErr, bytewiseErr = whole.eof(), orError(bytewiseErr, bytewise.eof)
		}
		if w, b := outcome(&whole, wholeErr), outcome(&bytewise, bytewiseErr); w != b {
			t.Fatalf("%q\nwhole    %s\nbytewise %s (%v, %v)", data, w, b, wholeErr, bytewiseErr)
		}
		// What was read leaves nothing behind for the next answer.
		whole.begin()
		if err := whole.feed([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")); err != nil || !whole.done() || whole.good() != nil || whole.close {
			t.Fatalf("after it: %s, %v", outcome(&whole, err), whole.good())
		}
	})
}

func orError(err error, otherwise func() error) error {
	if err != nil {
		return err
	}
	return otherwise()
}
