package tenant

import "gatehouse/internal/fault"

// FieldError is a fault in one field of what somebody entered.
type FieldError = fault.Field

// Faults are all faults of what somebody entered.
type Faults = fault.List

// Fault is one fault by itself.
func Fault(field, problem, way string) error { return fault.Of(field, problem, way) }
