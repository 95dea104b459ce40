package scoreboard

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The page that others write a library from says what the code does.
func TestLayoutIsInTheContract(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/worker-contract.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "## The scoreboard\n")
	if !ok {
		t.Fatal("the page has no section on the scoreboard")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var offsets []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(text, -1) {
		offsets = append(offsets, m[1])
	}
	var want []string
	for _, n := range []int{
		offState, offConnections, offBegun, offLastActive, offAccepted, offAcceptedMax, offHeartbeat, offEnded, offBytesIn, offBytesOut, offUnlisted,
		offLatency, offServing,
		offSequence, offSince, offLengths, offMethod, offClient, offPath,
	} {
		want = append(want, fmt.Sprint(n))
	}
	if !slices.Equal(offsets, want) {
		t.Errorf("the page has the offsets %v, the code %v", offsets, want)
	}
	for _, part := range []string{
		fmt.Sprintf("`%#x`", uint64(magic)),
		fmt.Sprintf("`%d + %d n`", headerSize, frontSize),
		fmt.Sprintf("`%d + %d n`", backStart, backSize),
		fmt.Sprintf("| %d counts of answers", Buckets),
		fmt.Sprintf("| %d places for requests that are being served, %d bytes each", Places, placeSize),
		fmt.Sprintf("method, at most %d bytes", maxMethod),
		fmt.Sprintf("client, at most %d bytes", maxClient),
		fmt.Sprintf("path without the query, at most %d bytes", maxPath),
		fmt.Sprintf("below %d ns", 1<<lowestPower),
		fmt.Sprintf("from 2^%d to 2^%d ns, %s of equal width", lowestPower, highestPower-1, map[int]string{4: "four"}[subBuckets]),
		fmt.Sprintf("from 2^%d ns on", highestPower),
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the page does not say %q", part)
		}
	}
}
