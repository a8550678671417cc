"""Figures about pictures and models: functions of features, pixels and denoisers; they know no runs."""
