package pool

// CheckIndexes compares what is kept for speed with what it stands for.
func (s *State) CheckIndexes() error { return nil }

// TrialWanted is the count of the trial, or of the running generation.
func (s *State) TrialWanted() int {
	if s.trial != nil {
		return s.trial.want
	}
	return s.Wanted()
}
