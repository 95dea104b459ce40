package resp

import "unsafe"

// view gives a string that is the bytes, without a copy. Preconditions: the
// string is not used any more when the bytes change.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
