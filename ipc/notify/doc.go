// Package notify speaks the sd_notify(3) protocol in both directions: a
// worker's messages to its master, and the master's to systemd.
//
// Both need few lines:
//
//	s, err := notify.Open(os.Getenv(ipc.EnvNotifySocket)) // "": every Send does nothing
//	err = s.Send("READY=1", notify.Status("8 workers, generation 1"))
//
//	l, err := notify.Listen("/run/app/notify/7") // the master, for one worker
//	n, cred, err := l.Receive(buf)
//	m, err := notify.Parse(buf[:n])
//
// A Sender may be used by several goroutines, a Socket by one at a time.
// Nothing here waits, except Barrier. A message is what somebody else wrote:
// who sent it is in the kernel's credentials, what it may say in Message;
// which of it counts is for the caller to decide.
//
// The package keeps no queue, sends nothing again and knows no timeouts.
package notify
