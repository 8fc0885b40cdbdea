# 自分から言う短い言葉。画面の一部であり、モデルの言葉ではない。

greeting-morning = おはよう！
greeting-day = こんにちは。会えてうれしい。
greeting-evening = こんばんは！
greeting-night = まだ起きてるの？ここにいるよ。

welcome-hello = はじめまして。ここに居てもいい？
welcome-yes = いいよ
welcome-not-now = 今はいい
welcome-privacy = 話したことは、このパソコンの外に出ないよ。おぼえたことは「おもいで」で見たり直したりできるよ。
welcome-fine = わかった
welcome-gestures = ダブルクリックでおはなし。頭をなでたり、引っぱったりしてね。右クリックでメニューだよ。
welcome-got-it = やってみる
welcome-begin = 「ぼくの名前は…」のように、自分のことを話してみてください。そのあと「おもいで」のページを見てください。
