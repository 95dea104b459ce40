package resp

// nameTable finds a command by its name, in any case, without copying the name.
// It is a hash table with open addressing; most of it stays free.
type nameTable [512]*command

// slot is where a name is looked for first. Bit 5 is the case of a letter.
// Preconditions: the name is not empty.
func slot(name []byte) uint {
	n := uint(len(name))
	first, middle, last := uint(name[0]|0x20), uint(name[n/2]|0x20), uint(name[n-1]|0x20)
	return n*7 + first*31 + middle*59 + last*5
}

func (t *nameTable) add(k *command) {
	at := slot([]byte(k.name)) % uint(len(t))
	for t[at] != nil {
		at = (at + 1) % uint(len(t))
	}
	t[at] = k
}

// find gives a command; nil: there is none of that name.
func (t *nameTable) find(name []byte) *command {
	if len(name) == 0 {
		return nil
	}
	for at := slot(name) % uint(len(t)); t[at] != nil; at = (at + 1) % uint(len(t)) {
		if named(name, t[at].name) {
			return t[at]
		}
	}
	return nil
}

// named says whether a word is a command's name, which has no capital letter.
func named(word []byte, name string) bool {
	if len(word) != len(name) {
		return false
	}
	for i, c := range word {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}
