//go:build !linux

package control

import "errors"

// PeerPID is for Linux.
func (c *Client) PeerPID() (int, error) { return 0, errors.ErrUnsupported }
