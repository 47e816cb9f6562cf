"""What a survey of tags at known places says about a site's radio: reading it, fitting it, drawing it."""
