package main

// nearest gives the known name that a mistyped one is closest to, "" when none
// is near enough to be meant.
func nearest(name string, known []string) string {
	best, bestDistance := "", 1+min(2, len(name)/3)
	for _, k := range known {
		if d := distance(name, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// didYouMean is a suffix for a message about an unknown name.
func didYouMean(name string, known []string, decorate func(string) string) string {
	if n := nearest(name, known); n != "" {
		return ", did you mean " + decorate(n) + "?"
	}
	return ""
}

// distance is the number of bytes to insert, delete, replace or swap with
// their neighbour on the way from a to b (optimal string alignment).
func distance(a, b string) int {
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
