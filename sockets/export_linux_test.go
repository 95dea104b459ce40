package sockets

var (
	BindPath   = bindPath
	EachAnswer = eachAnswer
	LockOpened = lockOpened
	SynFilter  = synFilter
)
