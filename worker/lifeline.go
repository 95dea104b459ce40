package worker

import (
	"os"

	"prefork/ipc"
)

// watchLifeline reads what the master writes: every byte that is known is
// obeyed, and the end of the pipe is the end of the master.
func (w *Worker) watchLifeline(fd int) error {
	f, err := openPipe(fd, "lifeline")
	if err != nil {
		return err
	}
	go w.followLifeline(f)
	return nil
}

func (w *Worker) followLifeline(f *os.File) {
	buf := make([]byte, 64)
	for {
		n, err := f.Read(buf)
		for _, b := range buf[:n] {
			switch b {
			case ipc.LifelineSweep:
				for _, l := range w.listeners {
					l.shared.Sweep()
				}
			case ipc.LifelineQuick:
				w.quick.Store(true)
			}
		}
		if err != nil {
			_ = f.Close() // it was only read from
			if fd, ok := w.env.fds[ipc.FDStderr]; ok {
				go emptyStderr(fd)
			}
			w.drain(causeMasterGone)
			return
		}
	}
}
