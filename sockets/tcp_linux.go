package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

func listenTCP(a Addr) (*Socket, error) {
	ip, err := resolve(a.Host)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(a.Port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q: want a number from 0 to 65535", a.Port)
	}
	s, err := bindTCP(a, netip.AddrPortFrom(ip, uint16(port)))
	if a.Host == "" && !a.Options.V6Only && errors.Is(err, unix.EAFNOSUPPORT) {
		// ":80" means all addresses; without IPv6 in the kernel those are IPv4's.
		return bindTCP(a, netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)))
	}
	return s, err
}

// hostsFile looks names up in /etc/hosts and asks no name server: the master
// parses no byte from the network, and its loop does not wait for one.
var hostsFile = net.Resolver{
	PreferGo: true,
	Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server is asked")
	},
}

// resolve turns a host into one address. Of a name's addresses the first IPv4
// one is taken, as net.Listen does.
func resolve(host string) (netip.Addr, error) {
	if host == "" {
		return netip.IPv6Unspecified(), nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, nil
	}
	ips, err := hostsFile.LookupNetIP(context.Background(), "ip", host)
	if host == "localhost" && (err != nil || len(ips) == 0) {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil // RFC 6761, section 6.3; a small container may have no /etc/hosts
	}
	if err != nil || len(ips) == 0 {
		return netip.Addr{}, fmt.Errorf("host %s is not in /etc/hosts, and no name server is asked: want an IP address", host)
	}
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			return ip.Unmap(), nil
		}
	}
	return ips[0], nil
}

func bindTCP(a Addr, at netip.AddrPort) (*Socket, error) {
	sa, family, err := sockaddr(at)
	if err != nil {
		return nil, err
	}
	fd, err := open(family, unix.IPPROTO_TCP)
	if err != nil {
		return nil, err
	}
	bound, err := bindTo(fd, family, sa, a.Options)
	if err != nil {
		_ = unix.Close(fd)
		return nil, explain(err, at)
	}
	return start(fd, a, bound)
}

// bindTo sets what only a socket that is not bound takes, binds, and reads the
// address back.
func bindTo(fd, family int, sa unix.Sockaddr, o Options) (Addr, error) {
	// With SO_REUSEADDR connections in TIME_WAIT do not stand in the way; two
	// listeners on one port still do (socket(7)).
	if err := setInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, "SO_REUSEADDR", 1); err != nil {
		return Addr{}, err
	}
	level, freebind := unix.SOL_IP, unix.IP_FREEBIND
	if family == unix.AF_INET6 {
		level, freebind = unix.SOL_IPV6, unix.IPV6_FREEBIND // Linux 4.15
		if err := setInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, "IPV6_V6ONLY", toInt(o.V6Only)); err != nil {
			return Addr{}, err
		}
	}
	if o.FreeBind {
		if err := setInt(fd, level, freebind, "IP_FREEBIND", 1); err != nil {
			return Addr{}, err
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return Addr{}, os.NewSyscallError("bind", err)
	}
	return boundAddr(fd)
}

// explain adds to bind's error what would make it succeed.
func explain(err error, at netip.AddrPort) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w: %w", ErrInUse, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("port %d needs root, CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start: %w", at.Port(), err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this machine (the option freebind binds it all the same): %w", at.Addr(), err)
	}
	return err
}

func sockaddr(at netip.AddrPort) (unix.Sockaddr, int, error) {
	ip := at.Addr()
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()}, unix.AF_INET, nil
	}
	sa := &unix.SockaddrInet6{Port: int(at.Port()), Addr: ip.As16()}
	if zone := ip.Zone(); zone != "" {
		ifi, err := net.InterfaceByName(zone)
		if err != nil {
			return nil, 0, fmt.Errorf("interface %s: %w", zone, err)
		}
		sa.ZoneId = uint32(ifi.Index)
	}
	return sa, unix.AF_INET6, nil
}

// boundAddr is the address of a bound socket, without options.
func boundAddr(fd int) (Addr, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return Addr{}, os.NewSyscallError("getsockname", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return Addr{Network: NetworkTCP, Host: netip.AddrFrom4(sa.Addr).String(), Port: strconv.Itoa(sa.Port)}, nil
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			zone := strconv.FormatUint(uint64(sa.ZoneId), 10)
			if ifi, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				zone = ifi.Name
			}
			ip = ip.WithZone(zone)
		}
		return Addr{Network: NetworkTCP, Host: ip.Unmap().String(), Port: strconv.Itoa(sa.Port)}, nil
	case *unix.SockaddrUnix:
		// x/sys writes the NUL in front of an abstract name as "@".
		if len(sa.Name) > 0 && sa.Name[0] == '@' {
			return Addr{Network: NetworkUnix, Path: sa.Name[1:], Abstract: true}, nil
		}
		return Addr{Network: NetworkUnix, Path: sa.Name}, nil
	}
	return Addr{}, fmt.Errorf("address family of %T: want TCP or Unix", sa)
}

// setInt is setsockopt(2) of an int, its error with the option's name.
func setInt(fd, level, opt int, name string, value int) error {
	if err := unix.SetsockoptInt(fd, level, opt, value); err != nil {
		return fmt.Errorf("set %s to %d: %w", name, value, os.NewSyscallError("setsockopt", err))
	}
	return nil
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
