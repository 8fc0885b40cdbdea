# Short lines the figure says unasked. They belong to the interface; the model's words are never written here.

greeting-morning = Good morning!
greeting-day = Hi! Good to see you.
greeting-evening = Good evening!
greeting-night = Still up? I am here.

welcome-hello = Hi. May I live here?
welcome-yes = Yes
welcome-not-now = Not now
welcome-privacy = All we say stays on this computer. I learn from it, and you can see and undo that under Memory.
welcome-fine = Fine
welcome-gestures = Double-click me to talk. Stroke my head, drag me around. The right button opens the menu.
welcome-got-it = Got it
welcome-begin = Tell it something about you, for example “My name is …”. Then look at the Memory page.
