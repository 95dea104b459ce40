package master

import (
	"errors"
	"fmt"
	"math"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"prefork/sockets"
)

// identity is whom the workers run as.
type identity struct {
	drop     bool // other than the master's own
	uid, gid int
	groups   []int
}

// lookIdentity resolves --user and --group, each a name or a number. The
// groups are the user's own, as initgroups(3) gives them; with a group alone,
// or a user that has no entry, there are no others. key is the one that an
// error is about.
func lookIdentity(userName, groupName string) (id identity, key string, err error) {
	id = identity{uid: unix.Geteuid(), gid: unix.Getegid()}
	if userName == "" && groupName == "" {
		return id, "", nil
	}
	key = "group"
	if userName != "" {
		key = "user"
		u, err := lookUser(userName)
		if err != nil {
			return id, key, err
		}
		id.uid, id.gid, id.groups = u.uid, u.gid, u.groups
	}
	if id.gid == noGroup && groupName == "" {
		return id, key, fmt.Errorf("user %s has no entry in the user database, and so no group: want --group too", userName)
	}
	if groupName != "" {
		if id.gid, err = lookGroup(groupName); err != nil {
			return id, "group", err
		}
	}
	if len(id.groups) == 0 {
		id.groups = []int{id.gid}
	}
	if unix.Geteuid() != 0 {
		if id.uid == unix.Geteuid() && id.gid == unix.Getegid() {
			return identity{uid: id.uid, gid: id.gid}, "", nil
		}
		return id, key, fmt.Errorf("user %q, group %q: only root can run workers as somebody else, and this master is uid %d", userName, groupName, unix.Geteuid())
	}
	id.drop = true
	return id, "", nil
}

// noID is what setresuid(2) and setresgid(2) take for "leave it as it is",
// which would be root's.
const noID = math.MaxUint32

// noGroup stands for the group of a user without an entry. The number of the
// user itself would be that of some other group: 27 is sudo on Debian.
const noGroup = -1

// idNumber reads a number that can be an id.
func idNumber(text string) (id int, ok bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return int(n), err == nil && n != noID
}

func lookUser(name string) (identity, error) {
	u, err := user.Lookup(name)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) {
		u, err = user.LookupId(name)
		var unknownID user.UnknownUserIdError
		if errors.As(err, &unknownID) {
			uid, ok := idNumber(name)
			if !ok {
				return identity{}, fmt.Errorf("user %q does not exist", name)
			}
			return identity{uid: uid, gid: noGroup}, nil // a number without an entry, as containers have it
		}
		if err != nil {
			return identity{}, fmt.Errorf("user %q does not exist", name)
		}
	}
	if err != nil {
		return identity{}, fmt.Errorf("look up user %q: %w", name, err)
	}
	list, err := u.GroupIds()
	if err != nil {
		return identity{}, fmt.Errorf("look up the groups of user %q: %w", name, err)
	}
	var id identity
	for i, text := range append([]string{u.Uid, u.Gid}, list...) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return identity{}, fmt.Errorf("look up user %q: id %q is no number", name, text)
		}
		switch i {
		case 0:
			id.uid = n
		case 1:
			id.gid = n
		default:
			id.groups = append(id.groups, n)
		}
	}
	return id, nil
}

// numberOwners writes the numbers of who is to own the path of a socket in the
// place of their names.
func numberOwners(a *sockets.Addr) error {
	text := a.String()
	if name := a.Options.User; name != "" && !isID(name) {
		u, err := lookUser(name)
		if err != nil {
			return fmt.Errorf("listen %s: %w", text, err)
		}
		a.Options.User = strconv.Itoa(u.uid)
	}
	if name := a.Options.Group; name != "" && !isID(name) {
		gid, err := lookGroup(name)
		if err != nil {
			return fmt.Errorf("listen %s: %w", text, err)
		}
		a.Options.Group = strconv.Itoa(gid)
	}
	return nil
}

func isID(text string) bool {
	_, ok := idNumber(text)
	return ok
}

func lookGroup(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		return strconv.Atoi(g.Gid)
	}
	if n, ok := idNumber(name); ok {
		return n, nil
	}
	var unknown user.UnknownGroupError
	if errors.As(err, &unknown) {
		return 0, fmt.Errorf("group %q does not exist", name)
	}
	return 0, fmt.Errorf("look up group %q: %w", name, err)
}
