package sockets

var (
	BindPath   = bindPath
	EachAnswer = eachAnswer
)
