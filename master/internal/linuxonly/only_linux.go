// Package linuxonly makes a build of master for another system end with one
// error that names Linux: it has files for no other one. The master stands on
// pidfds, memfds, epoll and the parent-death signal.
package linuxonly
